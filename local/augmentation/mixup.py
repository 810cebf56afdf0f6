"""Mixtures of two chunks, which count for the speakers of both."""

import torch

from local.augmentation.drawing import at_level_of, beside, between, check_range, chosen
from local.augmentation.part import Part


class Mixup(Part):
    """Mixes a chunk with its neighbour in the batch (https://arxiv.org/abs/1710.09412).

    Two chunks at even and odd places are neighbours, which stay together when a batch is divided
    among processes. Both are taken at one level.

    Arguments
    ---------
    probability : float
    share : list of float
        [LOW, HIGH] of the chunk itself in the mixture, and of its speaker in the loss.

    Example
    -------
    >>> mixup = Mixup(probability=1.0, share=[0.75, 0.75])
    >>> draws = torch.rand(2, 2)
    >>> mixup(torch.tensor([[4.0, 0.0], [0.0, 8.0]]), draws)
    tensor([[3., 1.],
            [2., 6.]])
    >>> mixup.targets(torch.tensor([5, 7]), draws)
    (tensor([7, 5]), tensor([0.7500, 0.7500]))
    """

    def __init__(self, probability=0.0, share=(0.5, 1.0)):
        super().__init__("mixup", probability, 1)
        check_range("mixup: share", share, 0.5, 1)
        self.share = share

    def _pairs(self, draws):
        """The mixed chunks, those that they are mixed with, and their own shares."""
        rows = chosen(draws[:, 0], self.probability)
        rows = rows[rows ^ 1 < len(draws)]
        return rows, rows ^ 1, between(draws[rows, 1], self.share)

    def forward(self, batch, draws):
        """As `Part`."""
        rows, others, shares = self._pairs(draws)
        if len(rows):
            rows, shares = beside(rows, batch), beside(shares, batch)[:, None]
            own, other = batch[rows], batch[beside(others, batch)]
            batch.index_copy_(0, rows, shares * own + (1 - shares) * at_level_of(own, other))
        return batch

    def targets(self, labels, draws):
        """What chunks count for, besides their own labels.

        Arguments
        ---------
        labels : torch.Tensor
            int64 (batch,)
        draws : torch.Tensor
            As for `forward`.

        Returns
        -------
        others : torch.Tensor
            int64 (batch,): the other label of each chunk.
        shares : torch.Tensor
            (batch,) of the chunk's own label; 1 for those that are not mixed.
        """
        rows, others, shares = self._pairs(draws)
        all_shares = torch.ones(len(labels), device=labels.device)
        rows = beside(rows, all_shares)
        all_shares.index_copy_(0, rows, beside(shares, all_shares))
        other_labels = labels[beside(others, all_shares)]
        return labels.clone().index_copy_(0, rows, other_labels), all_shares
