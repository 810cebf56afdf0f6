"""A row of a manifest to what is read of it: samples of audio, or stored features."""

from local.audio import reading
from local.features.files import is_feature_file, read_features


def read_utterance(path, start, stop, channel, sample_rate):
    """Reads a whole utterance: int16 (num_samples,), or log-mel (frames, num_mels).

    `start` and `stop` are its place in the file, in samples at the file's own rate, or in frames;
    `channel` the one of audio to read, counted from 1, or 0 for the mean of all; `sample_rate` is
    that of the samples returned, in Hz. Raises an InputError if the file can't be read, or ends too
    early.
    """
    if is_feature_file(path):
        return read_features(path, start, stop)
    return reading.read_audio(path, start, stop, sample_rate, channel)


def read_chunk(path, start, stop, channel, length, rng, sample_rate):
    """Reads a random chunk of `length` samples or frames, as `local.audio.reading.read_chunk` does.

    The other arguments, what is returned and raised are as for `read_utterance`.
    """
    if not is_feature_file(path):
        return reading.read_chunk(path, start, stop, length, rng, sample_rate, channel)
    if stop - start <= length:
        return reading.cut_chunk(read_features(path, start, stop), length, rng)
    first = start + int(rng.integers(stop - start - length + 1))
    return read_features(path, first, first + length)
