"""Stretches of time that are left out of features."""

import torch

from local.augmentation.drawing import beside, check_number
from local.augmentation.part import Part

MAX_MASKS = 20


class TimeMasks(Part):
    """Sets neighbouring frames of normalised features to zero, their mean.

    Time masking as in SpecAugment (https://arxiv.org/abs/1904.08779).

    Arguments
    ---------
    probability : float
    num_masks : int
        In a chunk; they may overlap.
    max_frames : int
        A mask has from 0 to so many frames.

    Example
    -------
    >>> masks = TimeMasks(probability=1.0, num_masks=1, max_frames=3)
    >>> masks(torch.ones(1, 6, 1), torch.tensor([[0.0, 0.99, 0.5]])).flatten()
    tensor([1., 1., 0., 0., 0., 1.])
    """

    def __init__(self, probability=0.3, num_masks=2, max_frames=15):
        super().__init__("time_masks", probability, 0)
        check_number("time_masks: num_masks", num_masks, 1, MAX_MASKS, is_whole=True)
        check_number("time_masks: max_frames", max_frames, 0, 10**6, is_whole=True)
        self.num_masks = int(num_masks)
        self.max_frames = int(max_frames)
        self.num_draws = 1 + 2 * self.num_masks

    def change(self, rows, draws):
        """(rows, frames, num_mels); the length and the place of each mask -> the same shape."""
        num_frames = rows.shape[1]
        lengths, places = draws.view(len(rows), self.num_masks, 2).unbind(dim=2)
        lengths = (lengths * (min(self.max_frames, num_frames) + 1)).long()
        first = (places * (num_frames - lengths + 1)).long()
        first, lengths = beside(torch.stack([first, lengths]), rows)[..., None]
        frames = torch.arange(num_frames, device=rows.device)
        is_masked = ((frames >= first) & (frames < first + lengths)).any(dim=1)
        return rows.masked_fill_(is_masked[:, :, None], 0.0)
