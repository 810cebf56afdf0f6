import numpy as np
import pytest
import torch

from local.features.log_mel import LogMel
from local.features.vad import leave_out, loud_frames


def speech_with_pauses(num_samples, seed=0):
    """Noise that is 80 dB softer in every second fifth of a second: int16 (num_samples,)."""
    rng = np.random.default_rng(seed)
    is_pause = np.arange(num_samples) // 3200 % 2 == 1
    level = np.where(is_pause, 0.5, 5000.0)
    return (level * rng.standard_normal(num_samples)).clip(-32768, 32767).astype(np.int16)


def levels(*decibels):
    """Log-mel of one band with frames of these levels: (1, frames, 1)."""
    return torch.tensor(decibels, dtype=torch.float64).view(1, -1, 1) / 20 * np.log(10)


@pytest.mark.parametrize(
    "decibels, context, kept",
    [
        ((50.0, 20.1, 19.9, 10.0), 0, [True, True, False, False]),
        ((10.0, 10.0, 50.0, 10.0, 10.0), 1, [False, True, True, True, False]),
        ((0.0, 0.0), 0, [True, True]),  # silence
        ((50.0,), 5, [True]),
    ],
)
def test_frames_far_below_the_loudest_are_quiet_but_for_those_around_loud_ones(
    decibels, context, kept
):
    is_kept = loud_frames(levels(*decibels), None, range_db=30.0, context=context)
    assert is_kept[0].tolist() == kept


def test_the_level_of_a_frame_is_its_power_over_all_bands():
    frames = torch.zeros(1, 2, 2)
    frames[0, 0] = 1.0  # two bands of 1 neper, 8.7 dB
    frames[0, 1, 0] = 1.0
    frames[0, 1, 1] = -100.0
    assert loud_frames(frames, None, range_db=3.02, context=0).tolist() == [[True, True]]
    assert loud_frames(frames, None, range_db=3.0, context=0).tolist() == [[True, False]]


def test_what_is_behind_the_end_is_never_kept_and_never_the_loudest():
    log_mel = levels(40.0, 5.0, 40.0, 99.0)
    is_kept = loud_frames(log_mel, torch.tensor([3]), range_db=30.0, context=0)
    assert is_kept.tolist() == [[True, False, True, False]]
    left, num_left = leave_out(log_mel, torch.tensor([3]), is_kept)
    assert num_left.tolist() == [2] and torch.equal(left[0, :2], log_mel[0, [0, 2]])


def test_features_are_those_of_the_recording_without_its_pauses():
    waveform = torch.from_numpy(speech_with_pauses(32000))[None]
    plain = LogMel(normalization="none", dtype=torch.float64)
    log_mel = plain(waveform)[0][0]
    is_loud = torch.logsumexp(2 * log_mel, 1) * 10 / np.log(10)
    is_loud = is_loud > is_loud.max() - 35.0
    assert 0.4 < is_loud.double().mean() < 0.7
    vad = LogMel(vad="energy", vad_context=0, dtype=torch.float64)
    features, num_frames = vad(waveform, torch.tensor([32000]))
    expected = log_mel[is_loud] - log_mel[is_loud].mean(dim=0)
    assert num_frames.tolist() == [len(expected)]
    assert torch.allclose(features[0, : len(expected)], expected, rtol=0, atol=1e-9)
    assert not features[0, len(expected) :].any()


@pytest.mark.parametrize("normalization", ["cmn", "cmvn", "none"])
def test_padding_changes_nothing(normalization):
    log_mel = LogMel(normalization=normalization, vad="energy", dtype=torch.float64)
    lengths = torch.tensor([20000, 9999, 512, 511, 1])
    batch = torch.full((5, 20000), 12345, dtype=torch.int16)  # padding that is not zero
    alone = []
    for row, length in zip(batch, lengths.tolist(), strict=True):
        row[:length] = torch.from_numpy(speech_with_pauses(length, seed=length))
        alone.append(log_mel(row[None, :length], torch.tensor([length]))[0][0])
    features, num_frames = log_mel(batch, lengths)
    for row, one, count in zip(features, alone, num_frames.tolist(), strict=True):
        assert 1 <= count <= len(one)
        assert torch.allclose(row[:count], one[:count], rtol=0, atol=1e-9)
        assert not row[count:].any() and not one[count:].any()
    assert num_frames[0] < 100 < log_mel.num_frames(20000)


def test_without_lengths_the_frames_that_are_left_are_repeated():
    waveform = torch.from_numpy(speech_with_pauses(24000))[None]
    log_mel = LogMel(vad="energy", normalization="none")
    features, num_frames = log_mel(waveform)
    left, num_left = log_mel(waveform, torch.tensor([24000]))
    count = num_left.item()
    assert num_frames is None and features.shape == left.shape and count < 130
    assert torch.equal(features[0, :count], left[0, :count])
    assert torch.equal(features[0, count:], left[0, : features.shape[1] - count])


def test_stored_features_are_treated_as_the_audio_is():
    waveform = torch.from_numpy(speech_with_pauses(24000))[None]
    log_mel = LogMel(vad="energy")
    stored, num_frames = log_mel.log_mel(waveform, torch.tensor([24000]))
    features, num_left = log_mel(stored, num_frames)
    expected, num_expected = log_mel(waveform, torch.tensor([24000]))
    assert torch.equal(features, expected) and torch.equal(num_left, num_expected)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"vad": "kaldi"}, "vad is none or energy, not 'kaldi'"),
        ({"vad_range_db": 0}, "vad_range_db is a number above 0 .* not 0 and 5"),
        ({"vad_context": 1.5}, "vad_context a whole number from 0 to 100, not 35.0 and 1.5"),
        ({"vad_context": -1}, "not 35.0 and -1"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        LogMel(**settings)
