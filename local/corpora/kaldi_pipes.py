"""Commands of a wav.scp to FLAC files of what they write."""

import hashlib
import tempfile
from urllib.parse import quote

import soundfile

from local.audio.checking import check_audio
from local.audio.opening import open_recording
from local.audio.reading import READ_AS_FLOAT
from local.corpora.converting import FailedError, make_files, run
from local.errors import InputError

_BLOCK_SAMPLES = 1 << 20


def run_pipes(recordings, out_dir, problems):
    """Runs the commands of recordings, several at once; what was written before stays as it is.

    Arguments
    ---------
    recordings : list of (str, local.corpora.kaldi_dirs.Recording)
        With their IDs.
    out_dir : pathlib.Path
        For the FLAC files, of 16 bit; rates and channels stay as they are.
    problems : local.errors.Problems
        Gets the commands that fail.

    Returns
    -------
    paths : dict
        Command -> the path of its file, a str.
    """
    names, places = {}, {}
    for name, recording in recordings:
        names.setdefault(recording.source, name)
        places.setdefault(recording.source, recording.place)
    targets = {command: out_dir / _file_name(name, command) for command, name in names.items()}
    for command, reason in make_files(_decode, targets, out_dir, "FLAC files"):
        problems.add(*places[command], f"the command fails: {reason}")
    return {command: str(path) for command, path in targets.items()}


def _file_name(name, command):
    """Another name for another command: data directories may give one name to two recordings."""
    digest = hashlib.sha256(command.encode()).hexdigest()[:8]
    return f"{quote(name, safe='')}-{digest}.flac"


def _decode(command, target):
    """Writes the output of a command, audio, to a FLAC file."""
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".wav") as file:
        run(["/bin/sh", "-c", command], file)
        try:
            check_audio(file.name)
            with open_recording(file.name) as source:
                _copy(source, target)
        except InputError as error:
            raise FailedError(str(error).replace(file.name, "its output")) from error


def _copy(source, target):
    form = source.samplerate, source.channels, "PCM_16"
    dtype = "float32" if source.subtype in READ_AS_FLOAT else "int16"
    with soundfile.SoundFile(target, "w", *form, format="FLAC") as copy:
        for block in source.blocks(_BLOCK_SAMPLES, dtype=dtype):
            copy.write(block)
