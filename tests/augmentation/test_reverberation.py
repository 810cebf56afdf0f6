import numpy as np
import pytest
import torch
from drawn_chunks import chunks, uniform
from scipy.signal import fftconvolve

from local.augmentation.drawing import level
from local.augmentation.made import made_responses
from local.augmentation.reverberation import Reverberation, convolve


def rooms(num_rooms=5):
    rng = np.random.default_rng(0)
    return torch.from_numpy(made_responses(num_rooms, 0.5, (0.1, 0.8), (-3, 12), 16000, rng))


@pytest.mark.parametrize("num_samples, num_taps", [(24000, 8000), (5000, 8000), (1, 3), (777, 1)])
def test_convolution_is_scipys(num_samples, num_taps):
    waveforms = chunks(num_samples=num_samples)
    responses = rooms(4)[:, :num_taps].double()
    found = convolve(waveforms, responses)
    for one, waveform, response in zip(found, waveforms, responses, strict=True):
        expected = fftconvolve(waveform.numpy(), response.numpy())[:num_samples]
        assert np.abs(one.numpy() - expected).max() < 1e-9 * waveform.abs().max().item()


def test_rooms_as_drawn_with_the_level_of_the_chunk():
    reverberation = Reverberation(probability=1.0)
    reverberation.set_responses(rooms())
    draws = uniform(reverberation)
    draws[:, 1] = torch.tensor([0.0, 0.3, 0.5, 0.99])
    before = chunks()
    after = reverberation(before.clone(), draws)
    assert torch.allclose(level(after), level(before), rtol=1e-9)
    expected = convolve(before, rooms()[[0, 1, 2, 4]].double())
    assert torch.allclose(after, expected * (level(before) / level(expected)), rtol=1e-9)


def test_the_direct_path_stays_where_it_was():
    reverberation = Reverberation(probability=1.0)
    reverberation.set_responses(rooms())
    clicks = torch.zeros(4, 8000)
    clicks[:, 1000] = 9000.0
    after = reverberation(clicks, uniform(reverberation))
    assert after.abs().argmax(dim=1).tolist() == [1000] * 4
    assert after[:, :1000].abs().max() < 1e-2


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"probability": -0.1}, "reverberation: probability is"),
        ({"t60_seconds": [0.8, 0.1]}, "reverberation: t60_seconds is a range"),
        ({"direct_db": 3}, "reverberation: direct_db is a range"),
        ({"num_rooms": 0}, "reverberation: num_rooms is a whole number from 1"),
        ({"max_seconds": 60}, "reverberation: max_seconds is a number from 0.01 to 5"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        Reverberation(**settings)
