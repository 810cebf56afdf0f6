import pytest
import torch
from drawn_chunks import uniform
from speechbrain.augment.freq_domain import SpectrogramDrop

from local.augmentation.masks import MelMask, TimeMasks


def test_masks_are_as_long_as_drawn_and_stay_inside():
    masks = TimeMasks(probability=0.5, num_masks=2, max_frames=4)
    draws = uniform(masks)
    draws[:, 0] = torch.tensor([0.0, 0.0, 0.0, 0.5])
    # Length and place of each mask: 4 frames at the end and none; 1 at the start and 2 from 4 on.
    draws[0, 1:] = torch.tensor([0.99, 0.99, 0.1, 0.5])
    draws[1, 1:] = torch.tensor([0.25, 0.0, 0.45, 0.5])
    draws[2, 1:] = torch.tensor([0.99, 0.0, 0.99, 0.3])
    after = masks(torch.ones(4, 10, 2), draws)
    assert torch.equal(after[..., 0], after[..., 1])
    zeros = [(row[:, 0] == 0).nonzero()[:, 0].tolist() for row in after]
    assert zeros == [[6, 7, 8, 9], [0, 4, 5], [0, 1, 2, 3, 4, 5], []]


def test_a_chunk_of_few_frames():
    masks = TimeMasks(probability=1.0, num_masks=1, max_frames=100)
    after = masks(torch.ones(4, 1, 3), uniform(masks))
    assert after.shape == (4, 1, 3) and after.isfinite().all()


@pytest.mark.parametrize("max_mels", [0, 1, 20, 80])
def test_masked_mels_are_those_of_speechbrain(max_mels):
    """To the last one: trainings have the results that they had with it."""
    features = torch.rand(32, 3, 40) + 1
    torch.manual_seed(5)
    theirs = SpectrogramDrop(0, max_mels + 1, 1, 1, dim=2)(features.clone())
    state = torch.get_rng_state()
    torch.manual_seed(5)
    ours = MelMask(max_mels)(features)
    assert ours is features and torch.equal(ours, theirs)
    assert torch.equal(torch.get_rng_state(), state)
    lengths = (ours[:, 0] == 0).sum(dim=1)
    assert lengths.max() <= max_mels and (lengths.max() > 0) == (max_mels > 0)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"probability": 1.01}, "time_masks: probability is"),
        ({"num_masks": 0}, "time_masks: num_masks is a whole number from 1"),
        ({"max_frames": 2.5}, "time_masks: max_frames is a whole number from 0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        TimeMasks(**settings)
