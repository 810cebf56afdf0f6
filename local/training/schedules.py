"""Learning rates over a training run: an optimizer in, a scheduler of torch's out."""

from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from local.errors import InputError

# Updates of the shortest one-cycle learning rate that torch can make.
MIN_CYCLE = 2


def chosen(setting, name, choices):
    """The one of the choices (a dictionary) that a setting names, such as lr_schedule."""
    if name not in choices:
        raise InputError(f"{setting} is {' or '.join(choices)}, not {name!r}")
    return choices[name]


def go_to(schedule, position):
    """Takes a schedule to a place in the training; one that follows validations stays as it is.

    Arguments
    ---------
    schedule : torch.optim.lr_scheduler.LRScheduler
        Whose learning rate follows from its last_epoch alone, or a ReduceLROnPlateau.
    position : float
        In updates. Time may have skipped some of them.
    """
    if isinstance(schedule, ReduceLROnPlateau):
        return
    # After the last step of a cycle, the learning rate would rise again.
    last = schedule.total_steps - 1 if isinstance(schedule, OneCycleLR) else position
    schedule.last_epoch = min(position, last) - 1
    schedule.step()


def one_cycle(optimizer, num_updates, max_lr, rise, final_division):
    """torch's OneCycleLR, also for a few updates: rises from a 25th of max_lr, and falls again.

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
        The last learning rate is max_lr over this.
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
        div_factor=25,
        final_div_factor=final_division / 25,
    )


def exponential(optimizer, num_updates, rise, final_division):
    """Falls by the same share in each update, and rises in a line at the beginning.

    Arguments
    ---------
    optimizer : torch.optim.Optimizer
        Its learning rate is what the schedule would begin with, but for the rise.
    num_updates : int
        Of the whole run.
    rise : float
        Share of the run that it rises for, by a factor from 0 to 1 on what falls.
    final_division : float
        The last learning rate is the optimizer's over this.

    Example
    -------
    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=8.0)
    >>> schedule = exponential(optimizer, num_updates=4, rise=0.5, final_division=4)
    >>> rates = []
    >>> for update in range(5):
    ...     optimizer.step()
    ...     go_to(schedule, update)
    ...     rates.append(round(optimizer.param_groups[0]["lr"], 2))
    >>> rates
    [0.0, 2.83, 4.0, 2.83, 2.0]
    """

    def factor(update):
        share = update / num_updates
        return min(1.0, share / rise if rise else 1.0) * final_division**-share

    return LambdaLR(optimizer, factor)


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
