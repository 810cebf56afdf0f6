"""What an utterance of a manifest is read from: audio, or stored features."""

import numpy as np

from local.audio.reading import cut_window, read_audio, read_chunk
from local.features.files import is_feature_file, read_features


def read_utterance(path, start, stop, sample_rate):
    """Reads a whole utterance.

    Arguments
    ---------
    path : str
    start, stop : int
        Of the utterance within the file, in samples at its own rate, or in frames.
    sample_rate : int
        In Hz, of audio that is returned.

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
    return read_audio(path, start, stop, sample_rate)


def read_window(path, start, stop, length, rng, sample_rate):
    """Reads a random window of an utterance, without reading the rest.

    All windows are equally probable. An utterance shorter than the window is repeated from a
    random place on.

    Arguments
    ---------
    path, start, stop, sample_rate
        As for `read_utterance`.
    length : int
        Of the window, in samples or frames.
    rng : np.random.Generator

    Returns
    -------
    values : np.ndarray
        (length,) or (length, num_mels); see `read_utterance`.

    Raises
    ------
    InputError
        If the file can't be read, or ends too early.
    """
    if not is_feature_file(path):
        return read_chunk(path, start, stop, length, rng, sample_rate)
    if stop - start <= length:
        return cut_window(read_features(path, start, stop), length, rng)
    first = start + int(rng.integers(stop - start - length + 1))
    return read_features(path, first, first + length)


def repeated(values, length):
    """At least so many values: those there are again and again, if they are fewer.

    Example
    -------
    >>> repeated(np.arange(3), 5).tolist()
    [0, 1, 2, 0, 1]
    """
    if len(values) >= length:
        return values
    return values.take(np.arange(length), axis=0, mode="wrap")
