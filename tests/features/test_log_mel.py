from functools import partial

import numpy as np
import pytest
import torch
import torchaudio

from local.features.log_mel import LogMel, mel_filters


def torchaudio_filters():
    """In float64: torchaudio makes filters in the default type of torch."""
    torch.set_default_dtype(torch.float64)
    try:
        return torchaudio.functional.melscale_fbanks(
            257, 0.0, 8000.0, 80, 16000, mel_scale="slaney"
        )
    finally:
        torch.set_default_dtype(torch.float32)


def torchaudio_log_mel(samples, normalization):
    """The documented features, computed by torchaudio in float64: (frames, mels)."""
    samples = samples.astype(np.float64)
    emphasised = np.append(0.03 * samples[0], samples[1:] - 0.97 * samples[:-1])
    mel_spectrogram = torchaudio.transforms.MelSpectrogram(
        n_fft=512,
        win_length=400,
        hop_length=160,
        n_mels=80,
        window_fn=partial(torch.hamming_window, dtype=torch.float64),
        power=1.0,
        center=False,
        mel_scale="slaney",
    )
    mel_spectrogram.mel_scale.fb = torchaudio_filters()
    mels = mel_spectrogram(torch.from_numpy(emphasised)).numpy()
    features = np.log(np.maximum(1.0, mels)).T
    features = features - features.mean(axis=0)
    if normalization == "cmvn":
        deviation = features.std(axis=0)
        features = features / np.where(deviation < 0.01, 1.0, deviation)
    return features


def speech_like(num_samples, seed=0):
    """Noise with a slow envelope, at the level of speech: int16 (num_samples,)."""
    rng = np.random.default_rng(seed)
    envelope = 1500 * (1.1 + np.sin(np.arange(num_samples) / 2000))
    return (rng.standard_normal(num_samples) * envelope).clip(-32768, 32767).astype(np.int16)


@pytest.mark.parametrize("normalization", ["cmn", "cmvn"])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 5e-4)])
def test_equals_torchaudio(normalization, dtype, tolerance):
    samples = speech_like(56000)
    features, _ = LogMel(normalization=normalization, dtype=dtype)(torch.from_numpy(samples)[None])
    expected = torchaudio_log_mel(samples, normalization)
    assert features.shape == (1, 347, 80)
    assert np.abs(features[0].numpy() - expected).max() < tolerance


@pytest.mark.parametrize("num_samples", [56000, 511, 100])
def test_a_constant_offset_has_no_effect(num_samples):
    samples = torch.from_numpy(speech_like(num_samples))[None]
    features = {}
    for remove in (True, False):
        log_mel = LogMel(remove_dc_offset=remove, normalization="none", dtype=torch.float64)
        features[remove] = [log_mel(samples + offset)[0] for offset in (0, 330)]
    assert torch.allclose(*features[True], rtol=0, atol=1e-9)
    assert not torch.allclose(*features[False], rtol=0, atol=0.01)


def test_the_offset_of_a_frame_is_its_mean_weighted_by_the_window():
    samples = speech_like(512).astype(np.float64) + 100
    emphasised = np.append(0.03 * samples[0], samples[1:] - 0.97 * samples[:-1])
    window = np.zeros(512)
    window[56:456] = np.hamming(401)[:-1]
    centred = emphasised - np.average(emphasised, weights=window)
    expected = np.abs(np.fft.rfft(centred * window)) @ mel_filters(80, 512, 16000)
    log_mel = LogMel(remove_dc_offset=True, normalization="none", dtype=torch.float64)
    features = log_mel(torch.from_numpy(samples)[None])[0][0, 0]
    assert np.abs(features.numpy() - np.log(np.maximum(1.0, expected))).max() < 1e-9


def test_constant_bins_are_not_blown_up_by_cmvn():
    silence = torch.zeros(1, 8000, dtype=torch.int16)
    features, _ = LogMel(normalization="cmvn")(silence)
    assert torch.equal(features, torch.zeros_like(features))


def test_filters_equal_torchaudio():
    expected = torchaudio_filters().numpy()
    assert np.abs(mel_filters(80, 512, 16000) - expected).max() < 1e-12


@pytest.mark.parametrize("normalization", ["cmn", "cmvn", "none"])
def test_padding_changes_nothing(normalization):
    log_mel = LogMel(normalization=normalization, dtype=torch.float64)
    lengths = torch.tensor([20000, 9999, 512, 511, 100, 1])
    batch = torch.full((6, 20000), 12345, dtype=torch.int16)  # padding that is not zero
    alone = []
    for row, length in zip(batch, lengths.tolist(), strict=True):
        row[:length] = torch.from_numpy(speech_like(length, seed=length))
        alone.append(log_mel(row[None, :length])[0][0])
    features, num_frames = log_mel(batch, lengths)
    assert num_frames.tolist() == [len(one) for one in alone] == [122, 60, 1, 1, 1, 1]
    for row, one in zip(features, alone, strict=True):
        assert torch.allclose(row[: len(one)], one, rtol=0, atol=1e-9)
        assert not row[len(one) :].any()


def test_num_samples_is_the_fewest_for_so_many_frames():
    log_mel = LogMel()
    for num_frames in (1, 2, 347):
        num_samples = log_mel.num_samples(num_frames)
        assert log_mel.num_frames(num_samples) == num_frames
        if num_frames > 1:
            assert log_mel.num_frames(num_samples - 1) == num_frames - 1


def test_stays_in_float32_under_autocast():
    samples = torch.from_numpy(speech_like(16000))[None]
    log_mel = LogMel()
    expected, _ = log_mel(samples)
    with torch.autocast("cpu", torch.bfloat16):
        features, _ = log_mel(samples)
    assert features.dtype == torch.float32
    assert torch.equal(features, expected)


def test_refuses_an_unknown_normalization():
    with pytest.raises(ValueError, match="'cmvm'"):
        LogMel(normalization="cmvm")
