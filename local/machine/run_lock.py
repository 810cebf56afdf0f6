"""One run at a time in a directory."""

import fcntl
import time
from pathlib import Path

from local.atomic import writing
from local.errors import InputError

# A process that was killed a moment ago, for example by torchrun, may still be going.
PATIENCE_SECONDS = 3.0
# Open files: a lock lasts as long as its file is open, here until the end of the process.
_held = []


def lock_folder(folder):
    """Makes a folder this process's own, until it ends.

    Raises
    ------
    InputError
        If another process has it, or it can't be written.
    """
    path = Path(folder) / ".lock"
    with writing(folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "w", encoding="utf-8")
    _held.append(file)
    deadline = time.monotonic() + PATIENCE_SECONDS
    # Not flock: the worker processes of a data loader would inherit it, and outlive a kill.
    while not _is_locked(file):
        if time.monotonic() > deadline:
            raise InputError(
                f"{folder}: another run is writing here. Wait for its end, stop it, or give "
                "another --out_dir"
            )
        time.sleep(0.2)


def _is_locked(file):
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        # A file system without locks: nothing can be said.
        return True
    return True
