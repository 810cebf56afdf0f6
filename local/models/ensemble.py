"""Several extractors that act as one."""

import torch
from torch import nn


class Ensemble(nn.Module):
    """Trained extractors side by side, whose cosine is the mean of their cosines.

    Networks of different kinds make different errors, so together they are better than each alone.

    Arguments
    ---------
    **members : EmbeddingExtractor or Ensemble
        For the same features, each by a name.

    Example
    -------
    >>> import torch
    >>> from local.models.embedding import EmbeddingExtractor, EmbeddingHead
    >>> from local.models.pooling import Statistics
    >>> from local.models.vgg import VGG
    >>> small, large = (
    ...     EmbeddingExtractor(VGG(channels), Statistics, EmbeddingHead)
    ...     for channels in ([8, 16], [16, 32])
    ... )
    >>> Ensemble(small=small, large=large)(torch.rand(2, 100, 80)).shape
    torch.Size([2, 800])
    """

    def __init__(self, **members):
        super().__init__()
        self.members = nn.ModuleDict(members)

    def fold(self):
        """Folds each member: see `EmbeddingExtractor.fold`. Returns itself."""
        for member in self.members.values():
            member.fold()
        return self

    def stop_at(self, layer):
        """Has each member stop at a layer: see `EmbeddingExtractor.stop_at`."""
        for member in self.members.values():
            member.stop_at(layer)

    def forward(self, features, lengths=None):
        """(batch, frames, num_features), (batch,) frames or None -> (batch, embedding_size)."""
        return self.join([member(features, lengths) for member in self.members.values()])

    @staticmethod
    def join(embeddings):
        """A list of each member's (batch, size) -> (batch, sum of sizes), each at unit length."""
        return torch.cat([nn.functional.normalize(one) for one in embeddings], dim=1)
