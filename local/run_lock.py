"""One run at a time in a directory."""

import contextlib
import fcntl
import time
from pathlib import Path

from local.errors import InputError

# A process that was killed a moment ago, for example by torchrun, may still be going.
PATIENCE_SECONDS = 3.0


@contextlib.contextmanager
def run_lock(folder):
    """Refuses to run in a folder while another process does; the lock ends with its process.

    Raises
    ------
    InputError
        If another process has the lock.
    """
    path = Path(folder) / ".lock"
    with open(path, "w", encoding="utf-8") as file:
        deadline = time.monotonic() + PATIENCE_SECONDS
        # Not flock: the worker processes of a data loader would inherit it, and outlive a kill.
        while not _is_locked(file):
            if time.monotonic() > deadline:
                raise InputError(
                    f"{folder}: another run is writing here. Wait for its end, stop it, or give "
                    "another --out_dir"
                )
            time.sleep(0.2)
        yield


def _is_locked(file):
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        # A file system without locks: nothing can be said.
        return True
    return True
