"""The path of an audio file to an open file; whatever goes wrong with it becomes a message."""

import contextlib
import os

import soundfile

from local.audio.mp3 import first_frame
from local.errors import InputError
from local.machine.c_messages import silenced

# What a header may say: the rates of recorders and telephones, with room on both sides.
RATES = (1_000, 768_000)
MAX_CHANNELS = 64

# What libsndfile, numpy and the system raise on files whose headers are wrong.
_ERRORS = (soundfile.SoundFileError, OSError, ValueError, ArithmeticError, MemoryError)


class Recording(soundfile.SoundFile):
    """A soundfile.SoundFile that knows its path, and which `channel` is wanted (0: their mean).

    It is opened by its descriptor: libsndfile would take a `._a.mp3`, which macOS puts beside
    `a.mp3` on disks of other systems, for the content of `a.mp3`.
    """

    channel = 0

    def __init__(self, path):
        self.path = os.fspath(path)
        try:
            super().__init__(os.open(path, os.O_RDONLY))
        except soundfile.SoundFileError:
            start = first_frame(path) if self.path.lower().endswith(".mp3") else None
            if not start:
                raise
            # It begins with something that libsndfile doesn't know, such as a damaged tag.
            descriptor = os.open(path, os.O_RDONLY)
            os.lseek(descriptor, start, os.SEEK_SET)
            super().__init__(descriptor)


@contextlib.contextmanager
def open_recording(path, hint=""):
    """Opens an audio file; errors of the block become an InputError with the path, too.

    Arguments
    ---------
    path : str or Path
    hint : str
        What the message ends with.

    Yields a Recording. Raises an InputError, too, for the forms that `check_form` refuses.
    """
    try:
        with silenced(path), Recording(path) as file:
            check_form(path, file.samplerate, file.channels)
            yield file
    except _ERRORS as error:
        raise InputError(f"{path} can't be read as audio: {_reason(error)}{hint}") from error


def check_form(path, sample_rate, num_channels):
    """Raises an InputError for a rate (in Hz) or a number of channels that no recording has."""
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise InputError(
            f"{path} is at {sample_rate} Hz by its header, which is damaged or unusual: "
            f"{RATES[0]} to {RATES[1]} Hz can be read"
        )
    if num_channels > MAX_CHANNELS:
        raise InputError(
            f"{path} has {num_channels} channels by its header, which is damaged or unusual: "
            f"{MAX_CHANNELS} can be read"
        )


def _reason(error):
    if isinstance(error, soundfile.SoundFileError):
        return getattr(error, "error_string", "") or "its content or format is unknown"
    return getattr(error, "strerror", None) or error
