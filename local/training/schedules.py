"""Learning rates over a training run: an optimizer in, a scheduler of torch's out."""

from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from local.errors import InputError

# Updates of the shortest one-cycle learning rate that torch can make.
MIN_CYCLE = 2


def chosen_schedule(schedules, name):
    """The one of the schedules (a dictionary) that the setting lr_schedule names."""
    if name not in schedules:
        raise InputError(f"lr_schedule is {' or '.join(schedules)}, not {name!r}")
    return schedules[name]


def one_cycle(optimizer, num_updates, max_lr, rise, final_division):
    """torch's OneCycleLR, also for a few updates: rises to max_lr, and falls to almost nothing.

    Adam's beta1 takes the opposite course, from 0.95 down to 0.85 and up again, as in "Super-
    Convergence" (https://arxiv.org/abs/1708.07120).

    Arguments
    ---------
    optimizer : torch.optim.Optimizer
    num_updates : int
        Of the whole run.
    max_lr : float
    rise : float
        Share of the run until the highest learning rate.
    final_division : float
        The last learning rate is that of the start over this.
    """
    cycle = _cycle_length(num_updates)
    return OneCycleLR(
        optimizer,
        max_lr=max_lr,
        total_steps=cycle,
        # torch divides by the length of the rise less 1, which must not be 0.
        pct_start=max(rise, 1.5 / cycle),
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        final_div_factor=final_division,
    )


def plateau(optimizer, num_updates, factor, patience):
    """torch's ReduceLROnPlateau: lowers the learning rate when the EER does not fall.

    Arguments
    ---------
    optimizer : torch.optim.Optimizer
    num_updates : int
        Not used: the learning rate follows the validations.
    factor : float
        That the learning rate is multiplied with.
    patience : int
        Validations without a lower EER, after the last of which the learning rate is lowered.
    """
    return ReduceLROnPlateau(optimizer, factor=factor, patience=patience - 1, threshold=0.0)


def check_cycle(schedule, num_updates):
    """Raises an InputError if a one-cycle schedule from a checkpoint has another length."""
    if isinstance(schedule, OneCycleLR) and schedule.total_steps != _cycle_length(num_updates):
        raise InputError(
            f"The run began with a one-cycle learning rate over {schedule.total_steps} updates, "
            f"which can't become {num_updates}. Give another --out_dir, or the same epochs, batch "
            "size and validate_every."
        )


def _cycle_length(num_updates):
    return max(MIN_CYCLE, num_updates)
