from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.signal import resample_poly

from local.augmentation.voices import Voices, warp_matrix
from local.features.log_mel import hz_to_slaney_mel


def test_voices_have_their_shares():
    voices = Voices(speeds=[0.9, 1.1], warps=[0.95], probability=0.6)
    numbers = voices.numbers(np.linspace(0, 1, 1000, endpoint=False))
    assert np.bincount(numbers).tolist() == pytest.approx([400, 200, 200, 200], abs=1)
    assert voices.copies == 4
    assert (voices.speeds, voices.warps) == ([1.0, 0.9, 1.1, 1.0], [1.0, 1.0, 1.0, 0.95])
    for never in (Voices(probability=0.0), Voices(speeds=[], probability=1.0)):
        assert not never.numbers(np.linspace(0, 1, 10)).any() and not never.changes_speed


def test_other_voices_are_other_speakers_or_the_same():
    assert [Voices().label(3, voice, num_speakers=10) for voice in range(3)] == [3, 13, 23]
    same = Voices(new_speakers=False)
    assert same.copies == 1 and same.label(3, voice=2, num_speakers=10) == 3
    # Fine-tuning without speeds keeps the classes.
    assert Voices(probability=0.0).copies == 5


@pytest.mark.parametrize("length", [24000, 777, 1])
def test_speeds_are_scipys_resampling(length):
    voices = Voices(speeds=[0.9, 1.1, 1.25])
    numbers = np.array([2, 0, 1, 3, 2])
    counts = [voices.num_samples(length, number) for number in numbers]
    for count, number in zip(counts, numbers, strict=True):
        assert -1e-6 < count - length * voices.speeds[number] < 1 - 1e-6
    time = torch.arange(max(counts), dtype=torch.float64)
    waveforms = 8000 * torch.sin(0.3 * time + torch.arange(5)[:, None]) + 3000 * torch.sin(
        1.1 * time
    )
    changed = voices.at_speeds(waveforms, numbers, length)
    assert changed.shape == (5, length) and changed.dtype == torch.float64
    assert torch.equal(changed[1], waveforms[1, :length])
    for row, count, number in zip(range(5), counts, numbers, strict=True):
        speed = Fraction(str(voices.speeds[number]))
        expected = resample_poly(waveforms[row, :count], speed.denominator, speed.numerator)
        difference = changed[row].numpy() - expected[:length]
        assert np.abs(difference[50:-50]).max(initial=0) < 150  # their filters differ


def test_without_other_speeds_a_chunk_is_what_it_was():
    waveforms = torch.randn(3, 1000)
    changed = Voices(speeds=[0.9], warps=[1.1]).at_speeds(waveforms, np.array([0, 2, 0]), 1000)
    assert torch.equal(changed, waveforms)


@pytest.mark.parametrize("warp", [0.9, 1.1])
def test_a_warp_moves_a_peak_by_its_ratio(warp):
    mels = np.linspace(0, hz_to_slaney_mel(8000), 82)[1:-1]
    matrix = warp_matrix(warp, num_mels=80, sample_rate=16000)
    for hz in (500, 1500, 3000, 5000):
        peak = np.exp(-((mels - hz_to_slaney_mel(hz)) ** 2) / 4)
        centre = np.average(mels, weights=peak @ matrix)
        assert centre == pytest.approx(hz_to_slaney_mel(hz * warp), abs=0.35)


def test_only_warped_voices_change():
    voices = Voices(speeds=[0.9], warps=[1.1])
    features = torch.randn(4, 10, 80, generator=torch.Generator().manual_seed(0))
    after = voices.warped(features.clone(), np.array([0, 2, 1, 2]))
    assert torch.equal(after[[0, 2]], features[[0, 2]])
    matrix = torch.from_numpy(warp_matrix(1.1, 80, 16000)).float()
    assert torch.allclose(after[[1, 3]], features[[1, 3]] @ matrix, atol=1e-5)
    meta = voices.at_speeds(torch.empty(4, 9000, device="meta"), np.array([0, 2, 1, 2]), 8000)
    assert meta.shape == (4, 8000)
    on_meta = voices.warped(features.to("meta"), np.array([0, 2, 1, 2]))
    assert on_meta.device.type == "meta"


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"probability": 1.5}, "voices: probability is"),
        ({"speeds": [0.9, 1.0]}, "voices: speeds is a list of numbers from 0.5 to 2.0, without 1"),
        ({"speeds": [1.1, 1.1]}, r"none twice, not \[1.1, 1.1\]"),
        ({"speeds": 1.1}, "voices: speeds is a list .* not 1.1"),
        ({"warps": [3]}, "voices: warps is a list of numbers from 0.7 to 1.4"),
        ({"warps": ["a"]}, "voices: warps is a list"),
        ({"new_speakers": "yes"}, "voices: new_speakers is"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        Voices(**settings)
