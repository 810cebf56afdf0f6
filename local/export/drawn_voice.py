"""A recording to try exported models on."""

import numpy as np


def drawn_voice(sample_rate, seconds=3.0, seed=0):
    """Something like a voice: harmonics of a pitch that moves, rising and falling, and noise.

    Returns
    -------
    samples : np.ndarray
        int16 (samples,)

    Example
    -------
    >>> drawn_voice(16000).shape
    (48000,)
    """
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    pitch = 120.0 * (1.0 + 0.2 * np.sin(2.0 * np.pi * 0.7 * time))
    phase = 2.0 * np.pi * np.cumsum(pitch) / sample_rate
    voice = sum(np.sin(number * phase) / number for number in range(1, 30))
    loudness = 0.1 + np.abs(np.sin(2.0 * np.pi * 1.5 * time))
    samples = 4000.0 * loudness * voice + 100.0 * rng.standard_normal(len(time))
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
