"""The wall time of a training, without interruptions, to the share of its minutes that is over."""

import time


class Clock:
    """How long a run has been training, and what share of the time it has that is.

    Arguments
    ---------
    minutes : float or None
        That the training has; None: as long as its updates take.

    Example
    -------
    >>> clock = Clock(minutes=10)
    >>> clock.start(seconds=300.0)  # before an interruption
    >>> round(clock.share, 3)
    0.5
    """

    def __init__(self, minutes):
        self.minutes = minutes
        self._earlier, self._start = 0.0, None

    def start(self, seconds=None):
        """Goes on from so many seconds, or from those of an earlier call."""
        self._earlier = self._earlier if seconds is None else seconds
        self._start = time.monotonic()

    @property
    def seconds(self):
        """Since the first start, without interruptions."""
        return self._earlier + (0.0 if self._start is None else time.monotonic() - self._start)

    @property
    def share(self):
        """Of the minutes that are over: from 0 to 1."""
        return min(1.0, self.seconds / (60.0 * self.minutes))
