"""Clean speech to speech in background noise, at a given level."""

import numpy as np


def add_noise(speech, snr_db, kind, sample_rate, rng):
    """Adds noise of one of the NOISES to clean speech (samples,) of any level above zero.

    `snr_db` is the power of the speech over that of the noise, both over the whole recording, in
    dB. The sample rate is in hertz, and `rng` is a np.random.Generator.

    Example
    -------
    >>> speech = np.sin(np.arange(16000.0))
    >>> rng = np.random.default_rng(0)
    >>> noisy = add_noise(speech, snr_db=20.0, kind="pink", sample_rate=16000, rng=rng)
    >>> round(float(rms(speech) / rms(noisy - speech)), 6)
    10.0
    """
    noise = NOISES[kind](len(speech), sample_rate, rng)
    return speech + noise * rms(speech) / rms(noise) * 10 ** (-snr_db / 20)


def set_level(samples, level_dbfs, highest_peak=0.99):
    """Scales samples to an RMS in dB of full scale (1.0), or less if a peak would exceed it.

    Example
    -------
    >>> round(float(rms(set_level(np.array([0.5, -0.5]), -20.0))), 6)
    0.1
    >>> float(set_level(np.array([0.0, 0.0, 0.0, 0.5]), 0.0).max())  # not 2.0
    0.99
    """
    scale = 10 ** (level_dbfs / 20) / rms(samples)
    return samples * min(scale, highest_peak / np.abs(samples).max())


def rms(samples):
    """The root of the mean square of samples."""
    return np.sqrt(np.mean(np.square(samples)))


def _white(num_samples, _sample_rate, rng):
    return rng.standard_normal(num_samples)


def _pink(num_samples, _sample_rate, rng):
    fast_length = 1 << num_samples.bit_length()  # transforms of other lengths can be slow
    spectrum = np.fft.rfft(rng.standard_normal(fast_length))
    bins = np.maximum(np.arange(len(spectrum)), 1)  # the bin of 0 Hz is treated like its neighbour
    return np.fft.irfft(spectrum / np.sqrt(bins))[:num_samples]


def _hum(num_samples, sample_rate, rng):
    """The frequency of the mains with its harmonics, and a little pink noise."""
    seconds = np.arange(num_samples) / sample_rate
    mains = rng.choice([50.0, 60.0])
    harmonics = [
        np.sin(2 * np.pi * mains * number * seconds + rng.uniform(0, 2 * np.pi)) / number
        for number in range(1, 11)
    ]
    hum = np.sum(harmonics, axis=0)
    pink = _pink(num_samples, sample_rate, rng)
    return hum / rms(hum) + 0.3 * pink / rms(pink)


def _babble(num_samples, sample_rate, rng):
    """Pink noise that rises and falls about as often as syllables do: talk in the next room."""
    points = rng.uniform(0.1, 1.0, 2 + 8 * num_samples // sample_rate)  # 8 a second
    times = np.linspace(0, len(points) - 1, num_samples)
    envelope = np.interp(times, np.arange(len(points)), points)
    return envelope * _pink(num_samples, sample_rate, rng)


NOISES = {"white": _white, "pink": _pink, "hum": _hum, "babble": _babble}
