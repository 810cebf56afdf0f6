"""Stretches of time and of mels that are left out of features."""

import functools

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
        first, lengths = beside(torch.stack([first, lengths]), rows)
        return rows.masked_fill_(_covered(first, lengths, num_frames)[:, :, None], 0.0)


class MelMask(torch.nn.Module):
    """Sets neighbouring mels of normalised features to zero, their mean; others in each chunk.

    SpeechBrain's SpectrogramDrop of one mask along the mels draws the same numbers, but waits for
    the GPU three times to look at them.

    Arguments
    ---------
    max_mels : int
        A mask has from 0 to so many mels, and begins at any; the last ones may be beyond the band.

    Example
    -------
    >>> _ = torch.manual_seed(3)
    >>> MelMask(max_mels=2)(torch.ones(1, 2, 4))
    tensor([[[1., 0., 0., 1.],
             [1., 0., 0., 1.]]])
    """

    def __init__(self, max_mels):
        super().__init__()
        self.max_mels = max_mels

    def forward(self, features):
        """(batch, frames, num_mels), changed in place -> the same."""
        batch_size, _, num_mels = features.shape
        draw = functools.partial(torch.randint, device=features.device)
        draw(1, 2, (1,))  # how many masks, in SpectrogramDrop: results stay what they were with it
        lengths = draw(self.max_mels + 1, (batch_size, 1))
        first = draw(num_mels, (batch_size, 1))
        return features.masked_fill_(_covered(first, lengths, num_mels)[:, None], 0.0)


def _covered(first, lengths, size):
    """Where masks are, whose beginnings and lengths are (batch, masks): bool (batch, size)."""
    place = torch.arange(size, device=first.device)
    first, lengths = first[..., None], lengths[..., None]
    return ((place >= first) & (place < first + lengths)).any(dim=1)
