"""Files and folders: read as text, and written whole or not at all."""

import contextlib
import io
import os
import shutil
from pathlib import Path

from local.errors import InputError


def read_text(path, encoding="utf-8", max_bytes=10_000_000):
    """The text of a small file; raises an InputError if it can't be read, or is not small."""
    try:
        with open(path, "rb") as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise InputError(f"{path}: is larger than {max_bytes} bytes: no such file")
        return io.TextIOWrapper(io.BytesIO(content), encoding=encoding).read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: can't be read ({reason})") from error


@contextlib.contextmanager
def replacing(path, flush=True):
    """A temporary path that replaces `path` when the block ends, and is deleted if it fails.

    Arguments
    ---------
    path : str or Path
        The final name, in an existing folder.
    flush : bool
        Whether to wait, a few milliseconds, until a power failure can't damage the file any more.

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
    if not path.name:
        raise InputError(f"{path}: is a folder, but a file is to be written")
    # The process number keeps two writers apart. A file of tempfile's only its owner could read.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path):
            yield temporary
            if flush:
                flush_to_disk(temporary)
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_existing(folder):
    """Raises an InputError if there is something at this path other than an empty folder."""
    path = Path(folder)
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise InputError(f"{path}: exists already: give another folder, or delete it")


@contextlib.contextmanager
def new_directory(folder):
    """A temporary directory that becomes `folder` when the block ends, and is deleted if it fails.

    Raises an InputError if the folder can't be written, or exists and is not empty.
    """
    folder = Path(folder).absolute()
    refuse_existing(folder)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        with writing(folder):
            temporary.mkdir(parents=True)
            yield temporary
            os.replace(temporary, folder)
            flush_to_disk(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def writing(path):
    """A block that writes to a path: raises an InputError if the system doesn't let it."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error})") from error
    except RuntimeError as error:
        # torch.save raises one with this word when it could not write.
        if "inline_container" not in str(error):
            raise
        raise InputError(f"{path}: can't be written (is the disk full?)") from error


def flush_to_disk(path):
    """Waits until a file, or the list of names in a folder, is on the disk and not only cached."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
