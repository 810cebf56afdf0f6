"""Files that exist whole or not at all."""

import contextlib
import os
from pathlib import Path

from local.errors import InputError


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside `path`: takes its place when the block ends, is deleted if it fails.

    Arguments
    ---------
    path : str or Path
        The final name; its folder must exist. A file already there is replaced.

    Raises
    ------
    InputError
        If the file can't be written.

    Example
    -------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "metrics.json"
    >>> with replacing(path) as temporary:
    ...     _ = temporary.write_text("{}")
    >>> path.read_text()
    '{}'
    """
    path = Path(path)
    # The process number keeps two writers apart. tempfile would make a file for its owner only.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        flush_to_disk(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def flush_to_disk(path):
    """Waits until a file, or the names in a folder, would survive the end of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
