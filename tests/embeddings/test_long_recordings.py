from functools import partial

import pytest
import torch

from local.embeddings.embed import Utterances, embed_batch
from local.embeddings.long_recordings import embed_any_length, embed_by_parts
from local.features import log_mel as features_module
from local.features.log_mel import LogMel
from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.ensemble import Ensemble
from local.models.front_ends import make_front_end
from local.models.pooling import POOLINGS, make_pooling
from local.models.vgg import VGG, vgg_channels


def make_extractor(num_blocks, pooling):
    return extractor_of(VGG(vgg_channels(num_blocks, 16), batch_norm=True), pooling)


def extractor_of(front_end, pooling="statistics"):
    torch.manual_seed(0)
    return EmbeddingExtractor(
        front_end,
        partial(make_pooling, name=pooling, num_heads=4),
        partial(EmbeddingHead, embedding_size=8),
    ).eval()


@pytest.mark.parametrize("num_blocks", [3, 4])
@pytest.mark.parametrize("pooling", POOLINGS)
@torch.no_grad()
def test_parts_give_the_embedding_of_the_whole(num_blocks, pooling):
    extractor = make_extractor(num_blocks, pooling)
    features = torch.randn(3, 403, 80)
    lengths = torch.tensor([403, 170, 1])
    whole = extractor(features, lengths)
    for part_frames in (16, 100, 401, 403, 1000):
        parts = embed_by_parts(extractor, features, lengths, part_frames)
        assert torch.allclose(parts, whole, rtol=0, atol=1e-5)


@torch.no_grad()
def test_context_is_what_a_state_depends_on():
    front_end = make_extractor(4, "statistics").front_end
    each, context = front_end.frames_per_state, front_end.context
    reached = [s for s in range(20) if s * each - context <= 160 < (s + 1) * each + context]
    assert each == 16 and context == 30 and changed_states(front_end, 320, 160) == reached


@pytest.mark.parametrize("name, context", [("repvgg", 121), ("xvector", 7)])
@torch.no_grad()
def test_context_is_on_either_side_of_the_first_frame_of_a_state(name, context):
    front_end = make_front_end(name, width=16).double().eval()
    each = front_end.frames_per_state
    reached = [s for s in range(800 // each) if abs(s * each - 400) <= context]
    assert front_end.context == context and changed_states(front_end, 800, 400) == reached


def changed_states(front_end, num_frames, frame):
    """The states that are others when one frame is."""
    features = torch.randn(1, num_frames, 80, dtype=next(front_end.parameters()).dtype)
    changed = features.clone()
    changed[:, frame] += 1.0
    before, after = front_end(features)[0], front_end(changed)[0]
    return (before != after).any(dim=2).squeeze(0).nonzero().flatten().tolist()


@pytest.mark.parametrize("name", ["repvgg", "xvector"])
@torch.no_grad()
def test_parts_give_the_embedding_of_the_whole_for_other_front_ends(name):
    extractor = extractor_of(make_front_end(name, width=16))
    features, lengths = torch.randn(3, 403, 80), torch.tensor([403, 170, 1])
    whole = extractor(features, lengths)
    parts = embed_by_parts(extractor, features, lengths, part_frames=100)
    assert torch.allclose(parts, whole, rtol=1e-5, atol=1e-5 * whole.abs().max().item())


@pytest.mark.parametrize("name", ["vgg", "resnet34"])
@torch.no_grad()
def test_a_front_end_that_looks_at_all_of_a_recording_gets_all_of_it(monkeypatch, name):
    monkeypatch.setattr("local.embeddings.long_recordings.MAX_FRAMES", 48)
    features, extractor = LogMel(), extractor_of(make_front_end(name, width=16))
    waveforms = torch.randint(-3000, 3000, (1, 16000), dtype=torch.int16)
    batch = Utterances([0], waveforms, torch.tensor([16000]), [], [])
    embedding = embed_batch(features, extractor, batch, "cpu")
    assert torch.allclose(embedding, extractor(features(waveforms)[0]), atol=1e-4)


@torch.no_grad()
def test_each_member_of_an_ensemble_gets_it_as_it_would_alone(monkeypatch):
    monkeypatch.setattr("local.embeddings.long_recordings.MAX_FRAMES", 48)
    vgg, resnet = (
        extractor_of(make_front_end("vgg", width=16)),
        extractor_of(make_front_end("resnet34", width=16)),
    )
    sizes = []
    for extractor in vgg, resnet:
        extractor.front_end.register_forward_pre_hook(
            lambda _, inputs: sizes.append(len(inputs[0][0]))
        )
    features, lengths = torch.randn(2, 150, 80), torch.tensor([150, 60])
    whole = Ensemble(vgg=vgg, resnet=resnet)(features, lengths)
    sizes.clear()
    found = embed_any_length(Ensemble(vgg=vgg, resnet=resnet), features, lengths)
    assert torch.allclose(found, whole, atol=1e-5)
    assert len(sizes) == 5 and max(sizes[:4]) <= 48 + 2 * 32 and sizes[4] == 150


@pytest.mark.parametrize("num_samples", [100, 16000, 16001, 48111])
def test_log_mel_in_parts(monkeypatch, num_samples):
    waveforms = torch.randint(-3000, 3000, (2, num_samples), dtype=torch.int16)
    # A window without zeros at its ends sees the first sample of each part.
    log_mel = LogMel(window_size=512)
    whole = log_mel.log_mel(waveforms)[0]
    monkeypatch.setattr(features_module, "MAX_FRAMES", 31)
    parts = log_mel.log_mel(waveforms, torch.tensor([num_samples, num_samples // 2]))[0]
    assert torch.equal(parts[0], whole[0])
