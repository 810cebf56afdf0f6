import numpy as np
import pytest
import torch
import torchaudio
from drawn_chunks import chunks, uniform
from scipy.signal import resample

from local.augmentation.channel import Equalizer, Gain, Silence, Telephone
from local.augmentation.drawing import at_level_of, level


def powers_db(waveforms):
    """The power of each bin of the mean spectrum."""
    return 10 * torch.log10(torch.fft.rfft(waveforms).abs().square().mean(dim=0) + 1e-9)


def test_equalizer_has_the_drawn_values_in_the_middle_of_its_bands():
    equalizer = Equalizer(probability=1.0, max_db=10.0, num_bands=4)
    draws = uniform(equalizer, batch_size=1).expand(300, -1)
    before = chunks(300)
    change = powers_db(equalizer(before.clone(), draws)) - powers_db(before)
    highest = np.log1p(8000 / 700)
    centres_hz = 700 * np.expm1(highest * (np.arange(4) + 0.5) / 4)
    bins = torch.from_numpy((centres_hz / 2).round()).long()  # 8000 samples: 2 Hz a bin
    found = torch.stack([change[bin - 5 : bin + 6].mean() for bin in bins])
    expected = 20 * draws[0, 1:] - 10
    # All but the level, which stays.
    assert torch.allclose(found - found.mean(), expected - expected.mean(), atol=0.3)


def test_telephone_keeps_its_band_only():
    telephone = Telephone(probability=1.0)
    before = chunks(50)
    powers = powers_db(telephone(before.clone(), uniform(telephone, 50)))
    hz = torch.arange(4001) * 2
    inside = powers[(hz > 350) & (hz < 3200)]
    assert inside.max() - inside.min() < 10  # of noise
    assert powers[(hz < 250) | (hz > 3800) & (hz < 3990)].max() < inside.median() - 25
    assert powers[hz > 4010].max() < inside.median() - 60


def test_telephone_is_torchaudios_mu_law_at_8_khz():
    telephone = Telephone(probability=1.0, band_hz=[1, 4000])
    before = chunks(2)
    line = torch.from_numpy(resample(before.numpy(), 4000, axis=1)) / 32768
    coded = torchaudio.functional.mu_law_decoding(
        torchaudio.functional.mu_law_encoding(line, 256), 256
    )
    expected = at_level_of(before, torch.from_numpy(resample(coded.numpy(), 8000, axis=1)))
    after = telephone(before.clone(), uniform(telephone, 2))
    # The band's edges take a little off it; the noise of the coding itself is 38 dB below.
    assert level(after - expected).max() < 0.1 * level(before).min()
    unquantised = torch.from_numpy(resample(line.numpy(), 8000, axis=1))
    noise = level(after - at_level_of(before, unquantised))
    assert noise.min() > 0.005 * level(before).min()


@pytest.mark.parametrize("sample_rate", [8000, 11025, 48000])
def test_telephone_at_other_rates(sample_rate):
    telephone = Telephone(probability=1.0, sample_rate=sample_rate)
    before = chunks(num_samples=sample_rate)
    powers = powers_db(telephone(before.clone(), uniform(telephone)))
    assert powers[400:3000].median() > powers[:200].max() + 20
    assert powers[400:3000].median() > powers[4010:].max() + 25 if sample_rate > 8000 else True


def test_gain():
    gain = Gain(probability=1.0, range_db=[-20, 20])
    draws = uniform(gain)
    draws[:, 1] = torch.tensor([0.0, 0.25, 0.5, 0.75])
    ratio = level(gain(chunks(), draws)) / level(chunks())
    assert ratio[:, 0].tolist() == pytest.approx([0.1, 10**-0.5, 1, 10**0.5])


def test_silence_is_at_one_end_and_as_long_as_asked():
    silence = Silence(probability=1.0, share=[0.125, 0.625])
    draws = uniform(silence)
    draws[:, 1] = torch.tensor([0.0, 0.5, 0.0, 0.5])
    draws[:, 2] = torch.tensor([0.4, 0.4, 0.6, 0.6])
    after = silence(chunks(num_samples=800), draws)
    for row, expected in enumerate((range(100), range(300), range(700, 800), range(500, 800))):
        assert (after[row] == 0).nonzero()[:, 0].tolist() == list(expected)
        assert torch.equal(
            after[row][after[row] != 0], chunks(num_samples=800)[row][after[row] != 0]
        )


@pytest.mark.parametrize(
    "part, settings, message",
    [
        (Equalizer, {"probability": 2}, "equalizer: probability is"),
        (Equalizer, {"max_db": -1}, "equalizer: max_db is a number from 0 to 60, not -1"),
        (Equalizer, {"num_bands": 1}, "equalizer: num_bands is a whole number from 2"),
        (Telephone, {"probability": "a"}, "telephone: probability is"),
        (Telephone, {"band_hz": [3400, 300]}, "telephone: band_hz is a range"),
        (Telephone, {"band_hz": [0, 300]}, "telephone: band_hz is a range"),
        (Gain, {"probability": None}, "gain: probability is"),
        (Gain, {"range_db": [1, -1]}, "gain: range_db is a range"),
        (Silence, {"probability": -2}, "silence: probability is"),
        (Silence, {"share": [0.5, 1.0]}, "silence: share is a range"),
    ],
)
def test_wrong_settings(part, settings, message):
    with pytest.raises(ValueError, match=message):
        part(**settings)
