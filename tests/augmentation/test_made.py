import numpy as np
import pytest

from local.augmentation.made import KEPT_LEVEL, coloured_noise, kept, made_responses


def octave_powers(samples):
    """The power, in dB, of the octaves from 250 Hz and from 2 kHz on."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / 16000)
    return [10 * np.log10(power[(hz >= low) & (hz < 2 * low)].sum()) for low in (250, 2000)]


def test_noise_goes_from_white_to_brown_at_one_level():
    noise = coloured_noise(3, 2**15, 16000, np.random.default_rng(0))
    assert noise.dtype == np.int16
    for samples, decibels_an_octave in zip(np.split(noise, 3), (0, -3, -6), strict=True):
        low, high = octave_powers(samples.astype(float))
        # Each octave has twice the bins of the one before.
        assert high - low == pytest.approx(3 * (3 + decibels_an_octave), abs=0.5)
        assert np.sqrt(np.mean(samples.astype(float) ** 2)) == pytest.approx(KEPT_LEVEL, rel=0.01)


def test_what_is_kept_has_one_level_and_silence_is_not_kept():
    assert kept(np.array([1, -1, 1], np.int16)).tolist() == [2000, -2000, 2000]
    assert kept(np.zeros(10)) is None
    click = np.zeros(10_000)
    click[5] = 1.0
    assert kept(click).max() == 32767


@pytest.mark.parametrize("t60", [0.15, 0.6])
def test_rooms_decay_as_asked(t60):
    rng = np.random.default_rng(0)
    responses = made_responses(40, 0.5, (t60, t60), (0, 6), 16000, rng)
    assert responses.shape == (40, 8000) and responses.dtype == np.float32
    assert np.all(responses[:, 0] == 1)
    rest = np.square(responses[:, 1:], dtype=np.float64).sum(axis=1)
    ratios_db = -10 * np.log10(rest)
    assert ratios_db.min() > -0.01 and ratios_db.max() < 6.01 and np.ptp(ratios_db) > 3
    # Behind the early reflections, over a fifth of the time to decay by 60 dB.
    first, step = round(0.25 * t60 * 16000), round(0.2 * t60 * 16000)
    early, late = (
        np.square(responses[:, start : start + 200], dtype=np.float64).sum(axis=1)
        for start in (first, first + step)
    )
    assert np.mean(10 * np.log10(early / late)) == pytest.approx(12, abs=1)


def test_high_frequencies_decay_faster():
    responses = made_responses(40, 0.5, (0.6, 0.6), (0, 0), 16000, np.random.default_rng(0))
    early, late = (
        np.square(np.abs(np.fft.rfft(responses[:, start : start + 1000]))).sum(axis=0)
        for start in (600, 4000)
    )
    low, high = slice(20, 100), slice(400, None)
    assert early[high].sum() / late[high].sum() > 10 * early[low].sum() / late[low].sum()
