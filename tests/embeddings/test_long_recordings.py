from functools import partial

import pytest
import torch

from local.embeddings.long_recordings import embed_by_parts
from local.features import log_mel as features_module
from local.features.log_mel import LogMel
from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.pooling import POOLINGS, make_pooling
from local.models.vgg import VGG, vgg_channels


def make_extractor(num_blocks, pooling):
    torch.manual_seed(0)
    return EmbeddingExtractor(
        VGG(vgg_channels(num_blocks, 16), batch_norm=True),
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
    features = torch.randn(1, 320, 80)
    changed = features.clone()
    changed[:, 160] += 1.0  # the first frame of state 10
    before, after = front_end(features)[0], front_end(changed)[0]
    differ = (before != after).any(dim=2).squeeze(0).nonzero().flatten().tolist()
    each, context = front_end.frames_per_state, front_end.context
    reached = [s for s in range(20) if s * each - context <= 160 < (s + 1) * each + context]
    assert each == 16 and context == 30 and differ == reached


@pytest.mark.parametrize("num_samples", [100, 16000, 16001, 48111])
def test_log_mel_in_parts(monkeypatch, num_samples):
    waveforms = torch.randint(-3000, 3000, (2, num_samples), dtype=torch.int16)
    # A window without zeros at its ends sees the first sample of each part.
    log_mel = LogMel(window_size=512)
    whole = log_mel.log_mel(waveforms)[0]
    monkeypatch.setattr(features_module, "MAX_FRAMES", 31)
    parts = log_mel.log_mel(waveforms, torch.tensor([num_samples, num_samples // 2]))[0]
    assert torch.equal(parts[0], whole[0])
