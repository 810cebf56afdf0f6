import pytest
import torch

from local.errors import InputError
from local.training.schedules import check_cycle, chosen_schedule, one_cycle, plateau


def make_optimizer(lr=1.0):
    return torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=lr)


def rates(optimizer, schedule, steps):
    """The learning rate before each step of a schedule; a step is what it is called with."""
    found = []
    for step in steps:
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step(*step)
    return found


def test_plateau_lowers_the_rate_after_so_many_validations_without_a_lower_eer():
    optimizer = make_optimizer()
    schedule = plateau(optimizer, num_updates=100, factor=0.5, patience=2)
    eers = [(5.0,), (5.0,), (6.0,), (4.0,), (4.0,), (4.0,), (1.0,)]
    assert rates(optimizer, schedule, eers) == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("num_updates", [1, 2, 3, 10])
def test_one_cycle_of_any_length_ends_low(num_updates):
    optimizer = make_optimizer()
    schedule = one_cycle(optimizer, num_updates, max_lr=0.5, rise=0.2, final_division=100)
    found = rates(optimizer, schedule, [()] * num_updates)
    assert found[0] == pytest.approx(0.5 / 25) and max(found) <= 0.5
    if num_updates == 10:
        assert max(found) == pytest.approx(0.5) and found[-1] == pytest.approx(0.5 / 25 / 100)
    check_cycle(schedule, num_updates)
    with pytest.raises(InputError, match="can't become 11"):
        check_cycle(schedule, 11)


def test_unknown_schedule_is_refused():
    assert chosen_schedule({"a": 1, "b": 2}, "b") == 2
    with pytest.raises(InputError, match="lr_schedule is a or b, not 'c'"):
        chosen_schedule({"a": 1, "b": 2}, "c")
