from functools import partial

import pytest
import torch

from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.ensemble import Ensemble
from local.models.front_ends import make_front_end
from local.models.pooling import Statistics


def make_ensemble(*names):
    torch.manual_seed(0)
    head = partial(EmbeddingHead, embedding_size=8)
    return Ensemble(
        **{
            name: EmbeddingExtractor(make_front_end(name, 40, 16), Statistics, head)
            for name in names
        }
    ).eval()


def cosine(one, another):
    return torch.cosine_similarity(one, another, dim=0).item()


@torch.no_grad()
def test_the_cosine_is_the_mean_of_the_cosines_of_the_members():
    ensemble = make_ensemble("vgg", "ecapa", "xvector")
    features, lengths = torch.randn(2, 90, 40), torch.tensor([90, 31])
    both = ensemble(features, lengths)
    assert both.shape == (2, 3 * 8)
    each = [cosine(*member(features, lengths)) for member in ensemble.members.values()]
    assert cosine(*both) == pytest.approx(sum(each) / 3, abs=1e-6)


@torch.no_grad()
def test_members_are_folded():
    ensemble, features = make_ensemble("repvgg", "vgg"), torch.randn(2, 90, 40)
    before = ensemble(features)
    num_weights = len(ensemble.state_dict())
    assert ensemble.fold() is ensemble and len(ensemble.state_dict()) < num_weights
    assert torch.allclose(ensemble(features), before, atol=1e-4)
