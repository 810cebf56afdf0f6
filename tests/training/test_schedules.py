import pytest
import torch

from local.errors import InputError
from local.training.schedules import check_cycle, chosen, exponential, go_to, one_cycle, plateau


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
        assert max(found) == pytest.approx(0.5) and found[-1] == pytest.approx(0.5 / 100)
    check_cycle(schedule, num_updates)
    with pytest.raises(InputError, match="can't become 11"):
        check_cycle(schedule, 11)


def test_unknown_schedule_is_refused():
    assert chosen("lr_schedule", "b", {"a": 1, "b": 2}) == 2
    with pytest.raises(InputError, match="lr_schedule is a or b, not 'c'"):
        chosen("lr_schedule", "c", {"a": 1, "b": 2})


@pytest.mark.parametrize("make", [one_cycle, exponential])
def test_time_that_skips_updates_comes_to_the_same_rates(make):
    arguments = {"max_lr": 1.0} if make is one_cycle else {}
    by_steps, by_time = [], []
    for found, positions in ((by_steps, range(1, 101)), (by_time, [0.5, 10, 10, 40.0, 99, 100.0])):
        optimizer = make_optimizer()
        schedule = make(optimizer, 100, rise=0.2, final_division=50, **arguments)
        optimizer.step()
        for position in positions:
            go_to(schedule, position)
            found.append(optimizer.param_groups[0]["lr"])
    assert by_time[1:] == [by_steps[place - 1] for place in (10, 10, 40, 99, 100)]


def test_exponential_falls_by_the_same_share_each_time():
    optimizer = make_optimizer(lr=0.1)
    schedule = exponential(optimizer, num_updates=150, rise=0.04, final_division=2000)
    found = rates(optimizer, schedule, [()] * 151)
    assert found[0] == 0.0 and found[3] == pytest.approx(0.05 * 2000 ** (-3 / 150))
    assert found[-1] == pytest.approx(5e-5) and found[100] / found[99] == pytest.approx(
        found[50] / found[49]
    )
