"""Numbers of the device to those of the CPU, a step later, so that no step waits for another."""

import torch


class LateNumbers:
    """Hands over the numbers of a step when those of the next one are taken.

    Whoever reads a number of a GPU waits until it has been computed. A step later, the GPU has the
    next step to do meanwhile.

    Example
    -------
    >>> late = LateNumbers()
    >>> late.swap("first", torch.tensor([1.0]))
    >>> late.swap("second", torch.tensor([2.0]))
    ('first', [1.0])
    >>> late.swap()
    ('second', [2.0])
    """

    def __init__(self):
        self._last = None

    def swap(self, label=None, numbers=None):
        """Takes numbers, if there are any, and gives those that were taken before.

        Arguments
        ---------
        label : object
            To know them again.
        numbers : torch.Tensor, optional
            (n,) on any device; nobody may change it.

        Returns
        -------
        earlier : (object, list of float) or None
            None if there are none.
        """
        earlier, self._last = self._last, None
        if numbers is not None:
            self._last = label, numbers.to("cpu", non_blocking=True), _now(numbers)
        if earlier is None:
            return None
        label, numbers, is_there = earlier
        if is_there is not None:
            is_there.synchronize()
        return label, numbers.tolist()


def _now(numbers):
    """What a GPU reaches when it has done all that it has to do by now; None of a CPU."""
    if not numbers.is_cuda:
        return None
    event = torch.cuda.Event()
    event.record()
    return event
