"""What SpeechBrain loads of an export: how lengths are taken, and where decisions fall."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from local.export.interface import SpeakerVerification


class Start(torch.nn.Module):
    """In place of features: the first two samples, and the lengths as they are."""

    def forward(self, waveforms, lengths):
        return waveforms[:, :2], lengths


class Head(torch.nn.Module):
    """In place of an extractor: hands on the features, and remembers the lengths."""

    def fold(self):
        self.is_folded = True

    def forward(self, features, lengths):
        self.lengths = lengths.tolist()
        return features


@pytest.fixture(scope="module")
def model():
    modules = {"compute_features": Start(), "embedding_model": Head()}
    return SpeakerVerification(modules, {"threshold": 0.5}, run_opts={"device": "cpu"})


def test_the_model_is_folded(model):
    assert model.mods.embedding_model.is_folded


@settings(max_examples=30)
@given(st.data())
def test_relative_lengths_become_the_samples_that_they_are_of(model, data):
    longest = data.draw(st.integers(2, 16000 * 60))
    lengths = data.draw(st.lists(st.integers(1, longest), min_size=1, max_size=3))
    model.encode_batch(torch.zeros(len(lengths), longest), torch.tensor(lengths) / longest)
    assert model.mods.embedding_model.lengths == lengths


def test_one_waveform_is_a_batch_on_the_scale_of_int16(model):
    embeddings = model.encode_batch(torch.tensor([0.5, -1.0, 0.25]))
    assert embeddings.tolist() == [[[16384.0, -32768.0]]]
    assert model.mods.embedding_model.lengths == [3]


def test_waveforms_of_several_channels_are_refused(model):
    with pytest.raises(ValueError, match=r"of one channel, not \(2, 16000, 1\)"):
        model.encode_batch(torch.zeros(2, 16000, 1))


def test_decisions_are_at_the_threshold_of_the_model(model):
    cosines = torch.tensor([0.28, 0.48, 0.52])
    others = torch.stack([cosines, (1 - cosines**2).sqrt()], dim=1)
    score, decision = model.verify_batch(torch.tensor([[1.0, 0.0]]).expand(3, 2), others)
    torch.testing.assert_close(score[:, 0], cosines)
    assert decision[:, 0].tolist() == [False, False, True]


def test_ratios_need_a_calibration(model):
    with pytest.raises(ValueError, match="exported without a calibration"):
        model.log_likelihood_ratios(torch.zeros(1))


def test_a_score_at_the_threshold_is_one_speaker(model):
    pair = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.3, 0.7]])
    score, _ = model.verify_batch(*pair)
    threshold = score.item()
    assert model.verify_batch(*pair, threshold=threshold)[1].item() is True
    assert model.verify_batch(*pair, threshold=threshold + 1e-6)[1].item() is False
