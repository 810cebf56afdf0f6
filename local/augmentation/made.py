"""Noise and rooms for those who have no recordings of them."""

import numpy as np
from scipy.fft import next_fast_len

from local.augmentation.drawing import between

# The level of what is kept as int16: peaks of noise 16 times as high still fit in.
KEPT_LEVEL = 2000.0
# Below, noise of any colour is as strong as there: what nobody hears should not count.
FLAT_BELOW_HZ = 50.0
# Of a room: reflections before its decay, and when they arrive.
NUM_EARLY = 6
EARLY_SECONDS = (0.001, 0.03)
_DECAY = 3 * np.log(10)  # of an amplitude, to a thousandth


def coloured_noise(num_colours, num_samples, sample_rate, rng):
    """Noises from white to brown, one behind the other.

    Arguments
    ---------
    num_colours : int
    num_samples : int
        Of each, at least.
    sample_rate : int
        In Hz.
    rng : np.random.Generator

    Returns
    -------
    noise : np.ndarray
        int16 (num_colours * samples,). The power of the first does not depend on frequency,
        that of the last falls by 6 dB an octave.

    Example
    -------
    >>> coloured_noise(3, 16000, 16000, np.random.default_rng(0)).shape
    (48000,)
    """
    num_samples = next_fast_len(num_samples, real=True)
    hz = np.maximum(np.fft.rfftfreq(num_samples, 1 / sample_rate), FLAT_BELOW_HZ)
    parts = []
    for exponent in np.linspace(0.0, 1.0, num_colours):
        spectrum = rng.standard_normal((2, len(hz)), np.float32) * hz**-exponent
        parts.append(kept(np.fft.irfft(spectrum[0] + 1j * spectrum[1], num_samples)))
    return np.concatenate(parts)


def kept(samples):
    """Samples at the level of banks, int16; None of silence."""
    power = np.mean(np.square(samples, dtype=np.float64))
    if not power:
        return None
    scaled = np.rint(samples * (KEPT_LEVEL / np.sqrt(power)))
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def made_responses(num_rooms, seconds, t60_seconds, direct_db, sample_rate, rng):
    """Impulse responses of rooms: a direct path, some early reflections, noise that decays.

    High frequencies decay in half the time of the low ones.

    Arguments
    ---------
    num_rooms : int
    seconds : float
        After which a response ends.
    t60_seconds : (float, float)
        Lowest and highest time in which the noise decays by 60 dB.
    direct_db : (float, float)
        Lowest and highest power of the direct path over that of all else.
    sample_rate : int
        In Hz.
    rng : np.random.Generator

    Returns
    -------
    responses : np.ndarray
        float32 (num_rooms, taps), where the direct path is 1, and the first tap.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> rooms = made_responses(2, 0.25, (0.3, 0.3), (6, 6), 16000, rng)
    >>> rooms.shape, [round(float(1 / np.square(room[1:]).sum()), 3) for room in rooms]
    ((2, 4000), [3.981, 3.981])
    """
    num_taps = max(2, round(seconds * sample_rate))
    time = np.arange(1, num_taps, dtype=np.float32) / sample_rate
    rate = _DECAY / between(rng.random((num_rooms, 1)), t60_seconds).astype(np.float32)
    noise = rng.standard_normal((num_rooms, num_taps + 1), np.float32)
    low = (noise[:, :-2] + 2 * noise[:, 1:-1] + noise[:, 2:]) / 4
    decay = np.exp(-rate * time)
    rest = decay * (low + decay * (noise[:, 1:-1] - low))
    early = between(rng.random((num_rooms, NUM_EARLY)), EARLY_SECONDS)
    strength = between(rng.random((num_rooms, NUM_EARLY)), (2.0, 8.0))
    taps = np.minimum(early * sample_rate, num_taps - 2).astype(np.int64)
    np.put_along_axis(rest, taps, strength * rng.choice((-1.0, 1.0), strength.shape), axis=1)
    factor = 10 ** (-between(rng.random((num_rooms, 1)), direct_db) / 20)
    rest *= factor / np.sqrt(np.square(rest).sum(axis=1, keepdims=True))
    return np.concatenate([np.ones((num_rooms, 1), np.float32), rest], axis=1, dtype=np.float32)
