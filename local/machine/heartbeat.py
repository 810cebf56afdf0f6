"""Notices that another process is gone without a word: its machine is off, or it hangs."""

import contextlib
import os
import sys
import threading

from torch.distributed import TCPStore

from local.errors import tell_torchrun

BEAT_SECONDS = 2.0
PATIENCE_SECONDS = 40.0


class Heartbeat:
    """Says that this process is there, and ends it if the next one isn't any more.

    Who is lost without closing its connections leaves the others waiting, for as long as they would
    for a large corpus to be prepared: hours. Each process watches the one of the next number, the
    last one the first.

    Arguments
    ---------
    rank, num_processes : int
    """

    def __init__(self, rank, num_processes):
        self.rank = rank
        self.watched = (rank + 1) % num_processes
        self._over = threading.Event()
        self._silent_seconds = 0.0
        # A connection of its own: torch's may be waiting for something.
        self._store = TCPStore(
            os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False
        )
        # Two threads: the machine of the store may be the one that is lost.
        loops = (self._exchange, self._watch)
        self._threads = [threading.Thread(target=loop, daemon=True) for loop in loops]
        for thread in self._threads:
            thread.start()

    def stop(self):
        """For a process that has done its work."""
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=BEAT_SECONDS)

    def _exchange(self):
        beats, last = 0, None
        while not self._over.wait(BEAT_SECONDS):
            beats += 1
            with contextlib.suppress(RuntimeError):
                self._store.set(f"heartbeat/{self.rank}", str(beats))
                if self._store.check([f"heartbeat/{self.watched}"]):
                    heard = self._store.get(f"heartbeat/{self.watched}")
                    if heard != last:
                        self._silent_seconds = 0.0
                    last = heard

    def _watch(self):
        # Counted, not read from a clock: a job that is suspended as a whole goes on.
        while not self._over.wait(BEAT_SECONDS):
            self._silent_seconds += BEAT_SECONDS
            if self._silent_seconds >= PATIENCE_SECONDS:
                self._end()

    def _end(self):
        message = (
            f"[process {self.rank}] Process {self.watched} has not been heard of for "
            f"{PATIENCE_SECONDS:g} seconds: the run ends here. The same command goes on from the "
            "last checkpoint."
        )
        tell_torchrun(message)
        print(f"\n{message}", file=sys.stderr, flush=True)
        # Not sys.exit: the main thread waits for the lost process.
        os._exit(1)
