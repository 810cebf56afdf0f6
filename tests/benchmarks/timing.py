"""Times of calls that take turns: a slow minute of the machine meets all of them."""

import time
from typing import NamedTuple

import numpy as np


class Times(NamedTuple):
    """Of one of the calls: the median in seconds, and half the quartiles' distance over it.

    One round has no spread.
    """

    median: float
    spread: float | None


def interleaved(calls, rounds, warm_up=1, at_once=1, quick=False):
    """Calls each in turn, and that for some rounds.

    Arguments
    ---------
    calls : dict
        Name -> function without arguments.
    rounds : int
    warm_up : int
        Rounds before these, which do not count.
    at_once : int
        Calls in a turn, for what finds the processor's caches as its last call left them.
    quick : bool
        Makes each call once, whatever the numbers say.

    Returns
    -------
    times : dict
        Name -> Times, of one call.
    """
    if quick:
        rounds, warm_up, at_once = 1, 0, 1
    seconds = {name: [] for name in calls}
    for _ in range(warm_up + rounds):
        for name, call in calls.items():
            turn = timed(lambda call=call: [call() for _ in range(at_once)])
            seconds[name].append(turn / at_once)
    return {name: _summary(values[warm_up:]) for name, values in seconds.items()}


def timed(call):
    """The seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _summary(seconds):
    low, median, high = np.percentile(seconds, (25, 50, 75)).tolist()
    return Times(median, (high - low) / 2 / median if len(seconds) > 1 else None)
