"""Audio files to samples: int16, mono, at one rate, whole or in chunks."""

import functools
from fractions import Fraction

import numpy as np

from local.audio.opening import open_recording
from local.audio.packed import PackedAudio
from local.errors import InputError

# libsndfile doesn't scale float-coded samples to int16, and it lets loud samples of Vorbis and Opus
# wrap around. It clips MP3 itself, and samples of other codings can't exceed the range.
READ_AS_FLOAT = frozenset(("FLOAT", "DOUBLE", "VORBIS", "OPUS"))
INT16_SCALE = 32768
# Resampled at once: floating-point copies of an hour of 48 kHz stereo would take 3 GB.
BLOCK_SAMPLES = 1 << 20
# The largest of two rates' ratio: 12,345 and 16,000 Hz are 2,469 to 3,200.
_MAX_FACTOR = 4000
# Half the length of scipy's resample_poly filter, in samples of the lower of the two rates.
_FILTER_SAMPLES = 10


def read_audio(path, start=0, stop=None, sample_rate=16000, channel=0):
    """Reads an utterance, averages its channels and resamples it to the rate asked for.

    Arguments
    ---------
    path : str or Path
    start, stop : int
        The samples to read, at the file's own rate; None is the end of the file.
    sample_rate : int
        Of the result, in Hz.
    channel : int
        The one to read, counted from 1; 0: the mean of all.

    Returns
    -------
    samples : np.ndarray
        int16 (num_samples,). Float-coded audio is scaled by 32768 and clipped.

    Raises
    ------
    InputError
        If the file can't be read, or ends before `stop`.
    """
    with _opened(path) as file:
        file.channel = channel
        stop = file.frames if stop is None else stop
        blocks = _resampled_blocks(file, start, stop, sample_rate)
        first = next(blocks)
        rest = list(blocks)
        return np.concatenate([first, *rest]) if rest else first


def read_chunk(path, start, stop, num_samples, rng, sample_rate=16000, channel=0):
    """Reads a random chunk of an utterance, without reading the rest.

    All chunks are equally probable. An utterance shorter than the chunk is repeated, beginning
    with a random sample.

    Arguments
    ---------
    path : str or Path
    start, stop : int
        The utterance within the file, in samples at the file's own rate.
    num_samples : int
        Length of the chunk at `sample_rate`.
    rng : np.random.Generator
    sample_rate, channel : int
        As for `read_audio`.

    Returns
    -------
    samples : np.ndarray
        int16 (num_samples,), as by `read_audio`.

    Raises
    ------
    InputError
        If the file can't be read, or ends too early.
    """
    with _opened(path) as file:
        file.channel = channel
        rate = file.samplerate
        up, down = _factors(rate, sample_rate)
        # Rounded up: resampling may give a sample too many, never one too few.
        length = -(-num_samples * down // up)
        if stop - start < length:
            samples = cut_chunk(_read(file, start, stop - start), length, rng)
        else:
            first = start + int(rng.integers(stop - start - length + 1))
            samples = _read(file, first, length)
        return _to_int16(_resample(samples, rate, sample_rate)[:num_samples])


def cut_chunk(values, length, rng):
    """A random chunk of samples (or frames) that are in memory already; see `read_chunk`.

    Example
    -------
    >>> cut_chunk(np.arange(3, dtype=np.int16), 5, np.random.default_rng(0)).shape
    (5,)
    """
    if len(values) >= length:
        first = int(rng.integers(len(values) - length + 1))
        return values[first : first + length]
    first = rng.integers(len(values))
    return values.take(np.arange(first, first + length), axis=0, mode="wrap")


def _opened(path):
    """The open file: packed audio or any other."""
    hint = ": it is damaged, or was changed since it was checked"
    return PackedAudio.open(path) or open_recording(path, hint)


def _resampled_blocks(file, start, stop, sample_rate):
    """Yields the samples from start to stop at another rate, int16, block by block.

    The result is that of resampling them at once: each block is resampled together with as many
    samples around it as the filter takes.
    """
    up, down = _factors(file.samplerate, sample_rate)
    # Multiples of `down` samples, so that each block begins with a sample of the result.
    step = -(-BLOCK_SAMPLES // down) * down
    margin = -(-(_FILTER_SAMPLES * max(up, down) // up + 1) // down) * down if up != down else 0
    first, position = start, start  # of what is in memory, and of the block
    samples = _read(file, start, min(step + margin, stop - start))
    while True:
        end = min(position + step, stop)
        skipped = (position - first) * up // down
        length = -(-(end - position) * up // down)
        block = _resample(samples, file.samplerate, sample_rate)
        yield _to_int16(block[skipped : skipped + length])
        if end == stop:
            return
        known = first + len(samples)
        samples, first, position = samples[end - margin - first :], end - margin, end
        missing = min(end + step + margin, stop) - known
        if missing:
            # Without a seek, which is not exact in lossy codings.
            samples = np.concatenate([samples, _read_on(file, known, missing)])


def _read(file, start, length):
    """The samples of `file.channel` from start on: int16, or float on the same scale."""
    file.seek(start)
    return _read_on(file, start, length)


def _read_on(file, start, length):
    """The same, for a file that is at the start already."""
    as_float = file.subtype in READ_AS_FLOAT
    shape = length if file.channels == 1 else (length, file.channels)
    samples = np.empty(shape, np.float32 if as_float else np.int16)
    # A fifth of the time of a chunk less than `read`, which checks an array of its own.
    num_read = file.buffer_read_into(samples, samples.dtype.name)
    if num_read != length or not length:
        raise InputError(
            f"{file.path}: has no samples {start} to {start + length}: make its manifest again"
        )
    if as_float:
        samples *= INT16_SCALE
    if file.channel > file.channels:
        raise InputError(f"{file.path}: has no channel {file.channel}: make its manifest again")
    if samples.ndim == 1:
        return samples
    return samples[:, file.channel - 1].copy() if file.channel else samples.mean(axis=1)


@functools.lru_cache
def _factors(from_rate, to_rate):
    """(up, down), the ratio of the rates as a fraction.

    The filter is as long as twenty of the larger one. So 44,101 Hz is taken for 44,101.01 Hz; no
    rate is changed by more than 125 millionths, and none of the usual ones at all.
    """
    ratio = Fraction(to_rate, from_rate)
    if ratio > 1:
        return (1 / (1 / ratio).limit_denominator(_MAX_FACTOR)).as_integer_ratio()
    return ratio.limit_denominator(_MAX_FACTOR).as_integer_ratio()


def _resample(samples, from_rate, to_rate):
    if from_rate == to_rate:
        return samples
    from scipy.signal import resample_poly  # here, because the import takes a second

    return resample_poly(samples.astype(np.float32), *_factors(from_rate, to_rate))


def _to_int16(samples):
    if samples.dtype == np.int16:
        return samples
    return np.clip(np.rint(samples), -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)
