"""The steps of an epoch to how fast it trained: utterances a second, and the time between steps."""

import contextlib
import time


class Speedometer:
    """How many utterances an epoch trained on in what time, and how much of it it waited for data.

    Arguments
    ---------
    seconds_each : float
        Of audio in an utterance, or the chunk of it that is trained on.
    num_processes : int
        That do the same at the same time.

    Example
    -------
    >>> speed = Speedometer(seconds_each=1.5)
    >>> with speed.step(num_utterances=64):
    ...     time.sleep(0.01)
    >>> 0 < speed.utterances_per_second < 6400
    True
    """

    def __init__(self, seconds_each, num_processes=1):
        self.seconds_each = seconds_each
        self.num_processes = num_processes
        self.start_epoch()

    def start_epoch(self):
        """Forgets the last epoch."""
        self._num_utterances = 0
        self._seconds_in_steps = 0.0
        self._first = self._last = time.perf_counter()

    @contextlib.contextmanager
    def step(self, num_utterances):
        """Around each step of this process, up to where its result is on the CPU."""
        begin = time.perf_counter()
        yield
        self._last = time.perf_counter()
        self._num_utterances += num_utterances * self.num_processes
        self._seconds_in_steps += self._last - begin

    @property
    def utterances_per_second(self):
        """From the start of the epoch to the end of its last step."""
        return self._num_utterances / max(self._last - self._first, 1e-9)

    @property
    def waiting_share(self):
        """The share of the time between the steps: waiting for data, also for the first of it."""
        elapsed = self._last - self._first
        return 1.0 - self._seconds_in_steps / elapsed if elapsed else 0.0

    def __str__(self):
        hours = self.utterances_per_second * self.seconds_each / 3600
        return (
            f"{self.utterances_per_second:.4g} utterances a second, {hours:.3g} hours of audio "
            f"a second, {100 * self.waiting_share:.1f} % of the time waiting for data"
        )
