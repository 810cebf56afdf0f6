"""The path of an audio file to its length and form, or to what is wrong with it."""

import os
import re
import stat
import wave
from dataclasses import dataclass

import numpy as np
import soundfile

from local.errors import InputError

# Only these can hold samples that are not finite or far out of range.
_FLOAT_CODED = frozenset(("FLOAT", "DOUBLE"))
_MAX_PEAK = 16.0
_SAMPLES_PER_BLOCK = 1 << 20
_NUM_LAST_SAMPLES = 16

# libsndfile reads what is left of a truncated file, and says so only in its log (or not at all).
_WAV_FORMATS = ("WAV", "WAVEX")
_WAV_LOG = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
_OGG_LOG = re.compile("Last page lacks an end-of-stream bit|Junk after the last page")
_NIST_COUNT = re.compile(rb"^sample_count -i (\d+)", re.MULTILINE)
_NIST_HEADER_BYTES = 1024
# Programs that write WAV to a pipe can't know its size: ffmpeg puts 0xffffffff, sox 0x7ffff000.
_WAV_SIZE_UNKNOWN = 0x7FFF0000
# libsndfile's length of FLAC that was written to a pipe is the largest number there is.
_LENGTH_UNKNOWN = 1 << 62


@dataclass(frozen=True)
class AudioInfo:
    """The length (in samples a channel), rate (in Hz) and number of channels of an audio file."""

    num_samples: int
    sample_rate: int
    num_channels: int


def check_audio(path):
    """The AudioInfo of an audio file, without decoding all of it.

    Raises an InputError if the file is missing, a directory, empty, no audio, without samples,
    truncated, or holds NaN or infinite samples. The message names the audio file; the caller adds
    the list that mentions it, and the line.
    """
    size = _file_size(path)
    if os.fspath(path).lower().endswith(".wav"):
        info = _pcm_wav_info(path, size)
        if info is not None:
            return info
    try:
        with soundfile.SoundFile(path) as file:
            _check_is_whole(file)
            if file.subtype in _FLOAT_CODED:
                _check_samples(file)
            return AudioInfo(file.frames, file.samplerate, file.channels)
    except soundfile.SoundFileError as error:
        reason = getattr(error, "error_string", "") or "its content or format is unknown"
        raise InputError(f"{path} can't be read as audio: {reason}") from error


def length_problem(path, info, min_seconds):
    """What is wrong with a file of this AudioInfo if it is shorter than allowed, else None."""
    seconds = info.num_samples / info.sample_rate
    if seconds >= min_seconds:
        return None
    return f"{path} is too short: {seconds:.3g} s, at least {min_seconds:g} s are needed"


def _file_size(path):
    try:
        status = os.stat(path)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path} is a directory, not an audio file")
    if status.st_size == 0:
        raise InputError(f"{path} is an empty file (0 bytes)")
    return status.st_size


def _pcm_wav_info(path, size):
    """The AudioInfo of a whole WAV file of PCM samples; None for any other file.

    The standard library reads such a header in half the time of soundfile.
    """
    try:
        with open(path, "rb") as file:
            header = wave.open(file)
            num_bytes = size - file.tell()  # the header was read up to the first sample
    except (wave.Error, EOFError, RuntimeError, OSError):
        return None
    num_samples, num_channels = header.getnframes(), header.getnchannels()
    if not 0 < num_samples * num_channels * header.getsampwidth() <= num_bytes:
        return None
    return AudioInfo(num_samples, header.getframerate(), num_channels)


def _check_is_whole(file):
    if file.frames >= _LENGTH_UNKNOWN:
        raise InputError(f"{file.name} doesn't say in its header how long it is: encode it again")
    if _is_cut(file):
        raise InputError(f"{file.name} is truncated: get or make it again")
    if file.frames == 0:
        raise InputError(f"{file.name} has 0 samples")
    if file.format not in _WAV_FORMATS and not _can_read_end(file):
        raise InputError(f"{file.name} is truncated or damaged: its end can't be read")


def _is_cut(file):
    if file.format in _WAV_FORMATS:
        sizes = _WAV_LOG.search(file.extra_info)
        # One byte may be missing: some programs count the one that pads to an even size.
        return sizes is not None and int(sizes[2]) + 1 < int(sizes[1]) < _WAV_SIZE_UNKNOWN
    if file.format == "OGG":
        return _OGG_LOG.search(file.extra_info) is not None
    if file.format == "NIST":
        return file.frames < _nist_num_samples(file.name)
    return False


def _nist_num_samples(path):
    with open(path, "rb") as file:
        count = _NIST_COUNT.search(file.read(_NIST_HEADER_BYTES))
    return int(count[1]) if count else 0


def _can_read_end(file):
    num_samples = min(_NUM_LAST_SAMPLES, file.frames)
    try:
        file.seek(file.frames - num_samples)
        return len(file.read(num_samples, dtype="int16")) == num_samples
    except soundfile.SoundFileError:
        return False


def _check_samples(file):
    file.seek(0)
    for block in file.blocks(_SAMPLES_PER_BLOCK, dtype="float32"):
        peak = np.abs(block).max()  # NaN if any sample is NaN
        if not np.isfinite(peak):
            raise InputError(f"{file.name} holds samples that are NaN or infinite")
        if peak > _MAX_PEAK:
            raise InputError(
                f"{file.name} has samples up to {peak:g}: float-coded audio must lie within -1 to 1"
            )
