"""Signals that ask a run to stop: noted, until it has come to a place where it can go on later."""

import multiprocessing
import os
import signal
import threading

# What a batch system may take for "start me again"; Ctrl-C is 128 + SIGINT, as in a shell.
REQUEUE_STATUS = os.EX_TEMPFAIL
CTRL_C_STATUS = 130
STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Stopped(Exception):
    """A run was asked to stop, and did.

    The text says where, and how to go on. Scripts print it and exit with `status`.
    """

    def __init__(self, signal_number, message):
        super().__init__(message)
        is_ctrl_c = signal_number == signal.SIGINT
        self.status = CTRL_C_STATUS if is_ctrl_c else REQUEUE_STATUS


class StopSignals:
    """Notes SIGTERM, SIGUSR1 (a warning of Slurm's) and Ctrl-C while its block runs.

    `caught` is the number of the signal, 0 without one. Ctrl-C a second time stops at once.

    Example
    -------
    >>> with StopSignals() as signals:
    ...     os.kill(os.getpid(), signal.SIGUSR1)
    ...     signals.caught == signal.SIGUSR1
    True
    """

    def __init__(self):
        self.caught = 0

    def __enter__(self):
        self.caught = 0
        self._process = os.getpid()
        self._before = {number: signal.signal(number, self._note) for number in STOPPING}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        if os.getpid() != self._process:  # of a data loader, before `ignore_stopping`
            return
        if number == self.caught == signal.SIGINT:
            raise KeyboardInterrupt
        self.caught = number
        if os.environ.get("RANK", "0") == "0":
            again = " (Ctrl-C again: at once)" if number == signal.SIGINT else ""
            # Not print: the signal may have interrupted one.
            os.write(2, f"\n{signal.Signals(number).name}: stopping soon{again}\n".encode())


def ignore_stopping(worker=None):
    """For the worker processes of data loaders, which get the signals of their parent, too.

    It needs their data for the step that it is in, and ends them itself.
    """
    del worker
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def end_with_parent():
    """For the processes of a pool, which would wait for ever for a parent that was killed."""

    def watch():
        # Not os.getppid, which is another one already if the parent was killed a moment ago.
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
