"""The path of an audio file to its length and form, or to what is wrong with it."""

import os
import re
import shlex
import stat
from dataclasses import dataclass

import numpy as np
import soundfile

from local.audio import flac, mp3, wav
from local.audio.opening import check_form, open_recording
from local.errors import InputError

# Only these can hold samples that are not finite or far out of range.
_FLOAT_CODED = frozenset(("FLOAT", "DOUBLE"))
_MAX_PEAK = 16.0
_SAMPLES_PER_BLOCK = 1 << 20
_NUM_LAST_SAMPLES = 16

# libsndfile reads what is left of a truncated file, and says so only in its log (or not at all).
_OGG_CUT = "Last page lacks an end-of-stream bit"
_OGG_MORE = "Junk after the last page"
_OGG_LAST_PAGE = re.compile(rb"OggS\0[\4-\7].{20}(.)", re.DOTALL)
_NIST_COUNT = re.compile(rb"^sample_count -i (\d+)", re.MULTILINE)
_NIST_CODING = re.compile(rb"^sample_coding -s\d+ \w", re.MULTILINE)
_NIST_HEADER_BYTES = 1024
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

    Raises an InputError if the file can't be read as audio, from any sample on; if it has no
    samples, fewer than its header says, or more; if its rate or number of channels is out of range;
    or if it holds NaN or infinite samples. The message names the audio file; the caller adds the
    list that mentions it, and the line.
    """
    path = os.fspath(path)
    size = _file_size(path)
    try:
        layout = wav.read_layout(path, size)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    if layout:
        _check_wav(path, layout)
        info = _pcm_wav_info(path, layout)
        if info:
            return info
    with open_recording(path) as file:
        num_samples = _whole_length(file, layout)
        if file.subtype in _FLOAT_CODED:
            _check_samples(file)
        return AudioInfo(num_samples, file.samplerate, file.channels)


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
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is a pipe or device, not an audio file")
    if status.st_size == 0:
        raise InputError(f"{path} is an empty file (0 bytes)")
    return status.st_size


def _pcm_wav_info(path, layout):
    """The AudioInfo of a whole WAV file of PCM samples; None for any other file.

    Its header is read here in a fraction of the time of soundfile.
    """
    pcm = layout.pcm_format()
    if not pcm:
        return None
    num_channels, sample_rate, block = pcm
    num_samples = layout.num_bytes // block
    if not num_samples:
        return None
    check_form(path, sample_rate, num_channels)
    return AudioInfo(num_samples, sample_rate, num_channels)


def _whole_length(file, layout):
    """The number of samples, once it is known that these are all, and that they can be read."""
    path, num_samples = file.path, file.frames
    if num_samples >= _LENGTH_UNKNOWN:
        raise InputError(f"{path} doesn't say in its header how long it is: encode it again")
    if file.format == "MP3":
        num_samples = _mp3_length(file)
    elif file.format == "OGG":
        _check_ogg(file)
    elif file.format == "NIST":
        _check_nist(file)
    if num_samples <= 0:
        if layout and layout.extra_bytes:
            raise _unfinished(path, layout)
        raise InputError(f"{path} has 0 samples")
    if not file.seekable():
        raise InputError(
            f"{path} is coded as {file.subtype}, which can't be read from the middle: "
            f"convert it{_ffmpeg(path, '-c:a pcm_s16le', '.wav')}"
        )
    if not _can_read_end(file, num_samples):
        raise InputError(f"{path} is truncated or damaged: its end can't be read")
    if file.format == "FLAC" and flac.last_sample(path) not in (None, num_samples):
        raise InputError(
            f"{path} has other samples than its header says: encode it again{_ffmpeg(path)}"
        )
    return num_samples


def _truncated(path):
    return InputError(f"{path} is truncated: get or make it again")


def _ffmpeg(path, options="", extension=None, before=""):
    """How to write a better file beside this one, as the end of a message."""
    stem, own = os.path.splitext(path)
    new = shlex.quote(f"{stem}.repaired{extension or own}")
    return f" with: ffmpeg {before}-i {shlex.quote(path)} {options}{' ' * bool(options)}{new}"


def _check_wav(path, layout):
    if layout.missing_bytes > 1:  # some programs count the byte that pads to an even size
        raise _truncated(path)
    # Of some files that were never closed, of 0 bytes by the header, libsndfile reads all.
    if layout.extra_bytes and layout.num_bytes:
        raise _unfinished(path, layout)


def _unfinished(path, layout):
    return InputError(
        f"{path} has an unfinished header: it speaks of {layout.num_bytes} bytes of samples, and "
        f"{layout.extra_bytes} more follow: "
        f"repair it{_ffmpeg(path, '-c copy', before='-ignore_length 1 ')}"
    )


def _check_ogg(file):
    if _OGG_CUT in file.extra_info:
        raise _truncated(file.path)
    if _OGG_MORE in file.extra_info:
        if not _has_last_page(file.path):
            raise _truncated(file.path)
        raise InputError(
            f"{file.path} goes on after the end of its first stream: make one stream of "
            f"it{_ffmpeg(file.path)}"
        )


def _has_last_page(path):
    """Whether an Ogg file has a page, a whole one, that is marked as the last of its stream."""
    with open(path, "rb") as file:
        content = file.read()
    page = _OGG_LAST_PAGE.search(content)
    if page is None:
        return False
    end = page.end() + page[1][0]
    return end + sum(content[page.end() : end]) <= len(content)


def _mp3_length(file):
    """The number of samples of all frames, if libsndfile gives all of them."""
    stream = mp3.read_stream(file.path)
    if stream is None:
        raise InputError(f"{file.path} is damaged: it has no frames of MP3")
    repair = f"repair it{_ffmpeg(file.path, '-map 0:a -c copy')}"
    if not stream.is_all:
        raise InputError(
            f"{file.path} is damaged after {stream.num_frames} frames, and goes on: {repair}"
        )
    num_samples = stream.num_frames * stream.samples_per_frame
    noted = stream.noted_frames
    if noted is not None and noted > stream.num_frames:
        raise _truncated(file.path)
    if noted == stream.num_frames:
        num_samples = file.frames
    elif noted is not None or file.frames < num_samples:
        seconds = num_samples / file.samplerate
        raise InputError(
            f"{file.path} has {seconds:.2f} s, and its header doesn't say so: {repair}"
        )
    if not stream.is_plain and not _can_read_all(file, num_samples):
        raise InputError(f"{file.path} is damaged at its beginning: {repair}")
    return num_samples


def _check_nist(file):
    with open(file.path, "rb") as content:
        header = content.read(_NIST_HEADER_BYTES)
    count = _NIST_COUNT.search(header)
    if count and file.frames < int(count[1]):
        raise _truncated(file.path)
    # libsndfile reads the same file one time, and not the next.
    if b"sample_coding" in header and not _NIST_CODING.search(header):
        raise InputError(f"{file.path} has a damaged header: its sample_coding can't be read")


def _can_read_end(file, num_samples):
    count = min(_NUM_LAST_SAMPLES, num_samples)
    try:
        file.seek(num_samples - count)
        return len(file.read(count, dtype="int16")) == count
    except soundfile.SoundFileError:
        return False


def _can_read_all(file, num_samples):
    """For files so odd that reading the end proves nothing."""
    file.seek(0)
    blocks = file.blocks(_SAMPLES_PER_BLOCK, dtype="int16")
    return sum(map(len, blocks)) >= num_samples


def _check_samples(file):
    file.seek(0)
    for block in file.blocks(_SAMPLES_PER_BLOCK, dtype="float32"):
        peak = np.abs(block).max()  # NaN if any sample is NaN
        if not np.isfinite(peak):
            raise InputError(f"{file.path} holds samples that are NaN or infinite")
        if peak > _MAX_PEAK:
            raise InputError(
                f"{file.path} has samples up to {peak:g}: float-coded audio must lie within -1 to 1"
            )
