"""Learning rates over a training run."""

from torch.optim.lr_scheduler import OneCycleLR

from local.errors import InputError

# Updates of the shortest one-cycle learning rate that torch can make.
MIN_CYCLE = 2


def one_cycle(optimizer, max_lr, num_updates, rise, final_division):
    """torch's OneCycleLR, also for a few updates.

    Arguments
    ---------
    optimizer : torch.optim.Optimizer
    max_lr : float
    num_updates : int
        Of the whole run.
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
        # It divides by the length of the rise, which is one step less than it says.
        pct_start=max(rise, 1.5 / cycle),
        final_div_factor=final_division,
    )


def check_one_cycle(schedule, num_updates):
    """Raises an InputError if a schedule from a checkpoint is for another number of updates."""
    if schedule.total_steps != _cycle_length(num_updates):
        raise InputError(
            f"The run began with a one-cycle learning rate over {schedule.total_steps} updates, "
            f"which can't become {num_updates}. Give another --out_dir, or the same epochs, batch "
            "size and validate_every."
        )


def _cycle_length(num_updates):
    return max(MIN_CYCLE, num_updates)
