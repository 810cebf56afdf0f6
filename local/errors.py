"""Problems in what the user gave to one message that shows them together."""

import contextlib
import json
import os
import time
from pathlib import Path

# A label file is usually wrong in the same way on many lines, of which a few show what to do.
MAX_SHOWN = 10


class InputError(Exception):
    """Something the user gave can't be used.

    The message names the file and the line, and says what is wrong and what to do. Scripts print it
    and exit with 1, without a traceback (see `local.command_line.run`).
    """


class Problems:
    """Collects problems, so that one run reports all of them and not only the first.

    `max_shown` problems are shown in full, the others are counted.

    Example
    -------
    >>> problems = Problems()
    >>> problems.add("labels.txt", 3, "label 'x' is not a whole number")
    >>> len(problems)
    1
    >>> problems.raise_if_any()
    Traceback (most recent call last):
    ...
    local.errors.InputError: labels.txt:3: label 'x' is not a whole number
    """

    def __init__(self, max_shown=MAX_SHOWN):
        self._max_shown = max_shown
        self._shown = []
        self._count = 0

    def __len__(self):
        return self._count

    def add(self, path, line, message):
        """Adds a problem of a file (`line` None), or of one of its lines (counted from 1)."""
        self._count += 1
        if len(self._shown) < self._max_shown:
            place = f"{path}:{line}" if line is not None else f"{path}"
            # The problem of an audio file that no list mentions begins with the same path.
            is_named = message.startswith(f"{place} ")
            self._shown.append(message if is_named else f"{place}: {message}")

    def raise_if_any(self):
        """Raises an InputError with the first problems in full and the number of the others."""
        if not self._count:
            return
        rest = self._count - len(self._shown)
        lines = self._shown + ([f"... and {rest} more problems like these"] if rest else [])
        raise InputError("\n".join(lines))


def tell_torchrun(message):
    """Writes the message to where torchrun looks for the "root cause" that it shows."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        content = {"message": message, "extraInfo": {"timestamp": int(time.time())}}
        with contextlib.suppress(OSError):
            Path(path).write_text(json.dumps({"message": content}), encoding="utf-8")
