"""A row of a manifest to what is read of it: samples of audio, or stored features."""

from local.audio import reading
from local.features.files import is_feature_file, read_features


def read_utterance(path, start, stop, sample_rate):
    """Reads a whole utterance.

    Arguments
    ---------
    path : str
    start, stop : int
        Of the utterance within the file, in samples at its own rate, or in frames.
    sample_rate : int
        Of the samples returned, in Hz.

    Returns
    -------
    values : np.ndarray
        int16 (num_samples,), or log-mel (frames, num_mels).

    Raises
    ------
    InputError
        If the file can't be read, or ends too early.
    """
    if is_feature_file(path):
        return read_features(path, start, stop)
    return reading.read_audio(path, start, stop, sample_rate)


def read_chunk(path, start, stop, length, rng, sample_rate):
    """Reads a random chunk of `length` samples or frames, as `local.audio.reading.read_chunk` does.

    The other arguments, what is returned and raised are as for `read_utterance`.
    """
    if not is_feature_file(path):
        return reading.read_chunk(path, start, stop, length, rng, sample_rate)
    if stop - start <= length:
        return reading.cut_chunk(read_features(path, start, stop), length, rng)
    first = start + int(rng.integers(stop - start - length + 1))
    return read_features(path, first, first + length)
