"""Text to speech by espeak-ng, which comes with its voices in the package espeakng-loader."""

import ctypes
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from local.errors import InputError

SAMPLE_RATE = 22_050  # of what espeak-ng gives, in hertz

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000  # otherwise espeak-ng ends the whole process if it doesn't find its data
_UTF8 = 1
_RATE, _VOLUME, _PITCH = 1, 2, 3
_QUIET = 25  # at the default, 100, some voices clip

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class EspeakVoice:
    """A voice of espeak-ng that doesn't depend on what other voices said before.

    espeak-ng keeps a state from one utterance to the next, such as the phase of the pitch's
    flutter, that nothing resets. Each voice therefore loads its own copy of the library, so that
    the same utterances in the same order always sound the same.

    Arguments
    ---------
    accent : str
        A language of espeak-ng, such as "en-us" or "en-gb-scotland".
    variant : str
        A file in the folder `voices/!v` of espeak-ng's data, such as "f1" or "Andy".
    folder : pathlib.Path
        An existing folder, in which the voice makes a folder for its copy of the library.
    seed : int
        Of the noise in the voice (breath, roughness).

    Raises an InputError if espeak-ng is missing or can't be loaded, or there is no such voice.
    """

    def __init__(self, accent, variant, folder, seed):
        library_path, data_path = find_espeak()
        # For a variant that it doesn't know, espeak-ng silently takes its standard voice.
        if not os.path.isfile(os.path.join(data_path, "voices", "!v", variant)):
            raise InputError(f"espeak-ng has no voice variant '{variant}' in {data_path}/voices/!v")
        home = Path(tempfile.mkdtemp(dir=folder))
        try:
            self._library = ctypes.CDLL(shutil.copy(library_path, home / "library"))
        except OSError as error:
            raise InputError(f"espeak-ng's {library_path} can't be loaded: {error}") from error
        self._chunks = []
        self._callback = _Callback(self._keep)  # held here: it must live as long as the library
        # A link, because espeak-ng cuts paths at 160 characters and the package's may be longer.
        (home / "espeak-ng-data").symlink_to(data_path, target_is_directory=True)
        self._start(home, f"{accent}+{variant}")
        # Some of its noise comes from its own generator, some from that of the C library.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        ctypes.CDLL(None).srand(seed)

    def speak(self, text, pitch, words_per_minute):
        """Says a text: int16 (samples,) at SAMPLE_RATE.

        The pitch is 0 to 100 on espeak-ng's scale, where 50 is the voice's own; words_per_minute
        is 80 to 450.
        """
        self._chunks.clear()
        for parameter, value in ((_RATE, words_per_minute), (_VOLUME, _QUIET), (_PITCH, pitch)):
            self._library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
        return np.concatenate(self._chunks)

    def _start(self, home, name):
        rate = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, str(home).encode(), _DO_NOT_EXIT
        )
        if rate != SAMPLE_RATE:
            raise InputError(f"espeak-ng did not start with its data in {home} (answer {rate})")
        self._library.espeak_SetSynthCallback(self._callback)
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise InputError(f"espeak-ng has no voice '{name}'")

    def _keep(self, samples, num_samples, _events):
        if num_samples > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        return 0  # go on


def find_espeak():
    """The paths of espeak-ng's library and its data; an InputError says how to install them."""
    try:
        import espeakng_loader
    except ImportError:
        raise InputError(
            "the demo corpus needs the package espeakng-loader, which is not installed; install "
            "it: python -m pip install espeakng-loader==0.2.4"
        ) from None
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
