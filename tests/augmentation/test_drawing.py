import numpy as np
import pytest
import torch

from local.augmentation.drawing import (
    at_level_of,
    between,
    check_number,
    check_probability,
    check_range,
    chosen,
    level,
    whole_between,
)


def test_a_share_is_chosen_none_or_all():
    uniform = torch.linspace(0, 1, 1001)[:-1]
    for probability in (0, 0.25, 1):
        assert len(chosen(uniform, probability)) == 1000 * probability


def test_limits_are_reached_and_kept():
    uniform = torch.linspace(0, 1, 1001).double()[:-1]
    values = between(uniform, (-3, 5))
    assert values.min() == -3 and 4.99 < values.max() < 5
    counts = torch.bincount(whole_between(uniform, (3, 7)))
    assert counts.tolist() == pytest.approx([0, 0, 0, 200, 200, 200, 200, 200], abs=1)
    assert between(uniform, (2, 2)).unique().tolist() == [2]


def test_levels():
    waveforms = torch.tensor([[3.0, -3.0, 3.0], [0.0, 0.0, 0.0]])
    assert level(waveforms)[:, 0].tolist() == pytest.approx([3, 0], abs=1e-5)
    assert at_level_of(waveforms, torch.tensor([[1.0, 0.0, 0.0]] * 2))[0].tolist() == pytest.approx(
        [3 * np.sqrt(3), 0, 0]
    )


@pytest.mark.parametrize("value", [-0.1, 1.1, "much", None, True, float("nan")])
def test_what_is_no_probability(value):
    check_probability("a", 0)
    check_probability("a", 1)
    with pytest.raises(ValueError, match="a is a number from 0 to 1, not"):
        check_probability("a", value)


@pytest.mark.parametrize(
    "values", [[2, 1], [1], [1, 2, 3], 1, ["1", 2], [-1, 2], [1, 11], [1, 2.5], [1, float("nan")]]
)
def test_what_is_no_range(values):
    check_range("a", (1, 1), 0, 10, is_whole=True)
    with pytest.raises(
        ValueError, match=r"a is a range \[LOW, HIGH\] of whole numbers from 0 to 10"
    ):
        check_range("a", values, 0, 10, is_whole=True)


@pytest.mark.parametrize("value", [0, 11, 2.5, "3", None])
def test_what_is_no_number(value):
    check_number("a", 10, 1, 10, is_whole=True)
    with pytest.raises(ValueError, match="a is a whole number from 1 to 10, not"):
        check_number("a", value, 1, 10, is_whole=True)
