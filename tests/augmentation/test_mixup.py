import pytest
import torch
from drawn_chunks import chunks

from local.augmentation.mixup import Mixup
from local.models.losses import MarginSoftmax


def test_neighbours_are_mixed_at_one_level():
    mixup = Mixup(probability=0.5, share=[0.6, 0.8])
    draws = torch.tensor([[0.1, 0.0], [0.9, 0.0], [0.1, 0.5], [0.1, 0.99], [0.1, 0.0]]).double()
    before = chunks(5) * torch.tensor([1.0, 7.0, 1.0, 1.0, 1.0])[:, None]
    after = mixup(before.clone(), draws)
    assert torch.equal(after[[1, 4]], before[[1, 4]])  # not chosen; without a neighbour
    levels = before.square().mean(1).sqrt()
    expected = 0.6 * before[0] + 0.4 * before[1] * levels[0] / levels[1]
    assert torch.allclose(after[0], expected, rtol=1e-9)
    others, shares = mixup.targets(torch.tensor([5, 6, 7, 8, 9]), draws)
    assert others.tolist() == [6, 6, 8, 7, 9]
    assert shares.tolist() == pytest.approx([0.6, 1.0, 0.7, 0.798, 1.0])


def test_the_loss_counts_both_speakers_by_their_shares():
    loss = MarginSoftmax("am", margin=0.2, scale=10.0)
    cosines = torch.tensor([[0.9, 0.1, 0.3], [0.2, 0.7, -0.2]])
    alone = [[loss(row[None], torch.tensor([label])) for label in range(3)] for row in cosines]
    labels, others, shares = torch.tensor([0, 1]), torch.tensor([2, 1]), torch.tensor([0.75, 1.0])
    mixed = loss(cosines, labels, shares) + loss(cosines, others, 1 - shares)
    expected = (0.75 * alone[0][0] + 0.25 * alone[0][2] + alone[1][1]) / 2
    assert mixed.item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"probability": 3}, "mixup: probability is"),
        ({"share": [0.2, 0.8]}, "mixup: share is a range"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        Mixup(**settings)
