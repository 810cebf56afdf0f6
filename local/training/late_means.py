"""Numbers of training steps to their means, without a step that waits for the GPU."""

import math

import torch

from local.errors import InputError


class LateMeans:
    """Means of numbers of the device over the steps of an epoch, which are read a step later.

    Whoever reads a number of a GPU waits until it has been computed. A step later, the GPU has the
    next step to do meanwhile.

    Arguments
    ---------
    names : sequence of str

    Attributes
    ----------
    values : dict
        Name -> mean of what has been read.

    Example
    -------
    >>> means = LateMeans(["loss"])
    >>> means.add(1, torch.tensor([4.0])), means.add(2, torch.tensor([2.0])), means.values
    ([], [4.0], {'loss': 4.0})
    >>> means.finish(), means.values
    ([2.0], {'loss': 3.0})
    """

    def __init__(self, names):
        self.values = dict.fromkeys(names, 0.0)
        self._last = None

    def add(self, step, numbers):
        """Takes the numbers of a step, and reads those of the step before.

        Arguments
        ---------
        step : int
            Of the epoch, from 1.
        numbers : torch.Tensor
            (len(names),) on any device; nobody may change it.

        Returns
        -------
        earlier : list of float
            What was read; empty if there was nothing.
        """
        queued = step, numbers.to("cpu", non_blocking=True), _now(numbers)
        earlier = self.finish()
        self._last = queued
        return earlier

    def finish(self):
        """Reads the numbers of the last step; returned as those of `add` are."""
        if self._last is None:
            return []
        (step, numbers, is_there), self._last = self._last, None
        if is_there is not None:
            is_there.synchronize()
        earlier = numbers.tolist()
        for (name, mean), number in zip(self.values.items(), earlier, strict=True):
            self.values[name] = mean - mean / step + number / step
        return earlier


def _now(numbers):
    """What a GPU reaches when it has done all that it has to do by now; None of a CPU."""
    if not numbers.is_cuda:
        return None
    event = torch.cuda.Event()
    event.record()
    return event


def check_finite(losses, num_updates, folder):
    """Raises an InputError if one of some losses is not finite; the folder is that of `save/`."""
    for loss in losses:
        if not math.isfinite(loss):
            raise InputError(
                f"The loss is {loss} after {num_updates} updates. Lower the learning rate (--lr), "
                "or train in float32 (--precision fp32); the same command goes on from the last "
                f"checkpoint in {folder}."
            )
