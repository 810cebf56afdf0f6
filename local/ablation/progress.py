"""Trainings that run side by side to how much of all of them is done, and the time that is left."""

import sys
import time

from tqdm import tqdm


class Progress:
    """A bar on a terminal; elsewhere a line for each training that has ended.

    Arguments
    ---------
    num_tasks : int
        Those that are finished already included.
    num_finished : int
    share : callable
        How much of a task that runs is done: from 0 to 1.
    """

    def __init__(self, num_tasks, num_finished, share):
        self.num_tasks, self.num_finished = num_tasks, num_finished
        self._first, self._share = num_finished, share
        self._start = time.monotonic()
        self._bar = tqdm(
            total=num_tasks,
            initial=num_finished,
            disable=None,
            smoothing=0,
            bar_format="{percentage:3.0f} %|{bar}| {elapsed} so far, about {remaining} left {desc}",
        )

    def look(self, going):
        """Shows how much is done, while the tasks `going` run."""
        if not self._bar.disable:
            self._bar.n = self._done(going)
            self._bar.set_description_str(", ".join(map(str, going)))

    def end(self, task, state, going):
        """Says that a task has ended, and how."""
        self.num_finished += 1
        done = self._done(going)
        elapsed = time.monotonic() - self._start
        minutes = elapsed / 60.0 * (self.num_tasks - done) / (done - self._first)
        left = f", about {minutes:.0f} minutes left" if done < self.num_tasks else ""
        self._bar.write(f"{task}: {state} ({self.num_finished} of {self.num_tasks}{left})")
        sys.stdout.flush()

    def close(self):
        self._bar.close()

    def _done(self, going):
        return self.num_finished + sum(map(self._share, going))
