"""Files and folders: read as text; written whole or not at all, by one process at a time."""

import contextlib
import fcntl
import glob
import io
import logging
import os
import re
import secrets
import shutil
import time
from pathlib import Path

from local.errors import InputError

logger = logging.getLogger(__name__)

# A process that was killed a moment ago, for example by torchrun, may still be going.
PATIENCE_SECONDS = 3.0
_LOCK = ".lock"
_DOOMED = ".removed"
# The real path of each locked folder -> an open file; it is locked while the file is open.
_held = {}
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]+\.tmp")


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
def replacing(path, flush=True, folder=None):
    """A temporary path that replaces `path` when the block ends, and is deleted if it fails.

    Raises an InputError if the file can't be written.

    Arguments
    ---------
    path : str or Path
        The final name, in an existing folder.
    flush : bool
        Whether to wait, a few milliseconds, until a power failure can't damage the file any more.
    folder : Path, optional
        For the temporary file, on the same disk; else it is beside the final one.

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
    temporary = _temporary(folder / path.name if folder else path)
    try:
        with writing(path):
            yield temporary
            if flush:
                flush_to_disk(temporary)
            os.replace(temporary, path)
    finally:
        # On a read-only file system, even a missing file can't be deleted.
        with contextlib.suppress(OSError):
            temporary.unlink()


def refuse_existing(folder):
    """Raises an InputError if there is something at this path other than an empty folder."""
    path = Path(folder)
    is_empty = path.is_dir() and not any(path.iterdir())
    if not is_empty and (path.exists() or path.is_symlink()):
        raise InputError(f"{path}: exists already: give another folder, or delete it")


@contextlib.contextmanager
def new_directory(folder):
    """A temporary directory that becomes `folder` when the block ends, and is deleted if it fails.

    Raises an InputError if the folder can't be written, is being made by another process, or exists
    and is not empty.
    """
    folder = Path(folder).absolute()
    with folder_beside(folder) as work:
        refuse_existing(folder)
        with writing(folder):
            (work / "new").mkdir()
            yield work / "new"
            os.replace(work / "new", folder)
            flush_to_disk(folder.parent)


@contextlib.contextmanager
def folder_beside(path, patience=PATIENCE_SECONDS):
    """An empty folder `.NAME.tmp` beside a path, this process's own; deleted when the block ends.

    What a killed process left there is deleted first. `patience` and errors are as for
    `lock_folder`.
    """
    path = Path(path)
    folder = path.with_name(f".{path.name}.tmp")
    lock_folder(folder, patience)
    try:
        with writing(folder):
            for entry in set(folder.iterdir()) - {folder / _LOCK}:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        yield folder
    finally:
        remove_locked(folder)


@contextlib.contextmanager
def locked(folder, patience=PATIENCE_SECONDS):
    """A block during which a folder is this process's own: see `lock_folder`."""
    lock_folder(folder, patience)
    try:
        yield
    finally:
        # Whoever waits for the lock notices that this is no longer the file at the path.
        (Path(folder) / _LOCK).unlink(missing_ok=True)
        _held.pop(os.path.realpath(folder)).close()


def lock_folder(folder, patience=PATIENCE_SECONDS):
    """Makes a folder this process's own, until it ends; removes temporary files of killed ones.

    Arguments
    ---------
    folder : str or Path
        It is made if it is missing.
    patience : float
        Seconds to wait for another process.

    Raises
    ------
    InputError
        If another process has it, or it can't be written.
    """
    path, key = Path(folder) / _LOCK, os.path.realpath(folder)
    is_ours = key in _held and _is_at(path, _held[key])
    deadline, has_told = time.monotonic() + patience, False
    while not is_ours:
        with writing(folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Whoever has the lock may remove the folder, before the next line or after it.
            with contextlib.suppress(FileNotFoundError):
                file = open(path, "a", encoding="utf-8")
                if _is_locked(file) and _is_at(path, file):
                    _held[key] = file
                    break
                file.close()
        if time.monotonic() > deadline:
            raise InputError(
                f"{folder}: another run is writing here. Wait for its end, stop it, or write to "
                "another place"
            )
        if patience > PATIENCE_SECONDS and not has_told:
            logger.warning(f"{folder}: another run is writing here: waiting for its end")
            has_told = True
        time.sleep(0.2)
    remove_leftovers(folder)
    for doomed in path.parent.parent.glob(f".{glob.escape(path.parent.name)}.*{_DOOMED}"):
        shutil.rmtree(doomed, ignore_errors=True)


def _is_at(path, file):
    """Whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _is_locked(file):
    """Whether this process has a lock, or the file system has no locks."""
    # Not flock: the worker processes of a data loader would inherit it, and outlive a kill.
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return not isinstance(error, (BlockingIOError, PermissionError))
    return True


def remove_locked(folder):
    """Deletes a folder, if this process has locked it."""
    key = os.path.realpath(folder)
    if key not in _held:
        return
    # Under another name, so that no other process takes it for its own meanwhile. Closed, because
    # NFS keeps files that are open, and their folder.
    doomed = _temporary(Path(folder)).with_suffix(_DOOMED)
    with writing(folder):
        os.replace(folder, doomed)
    _held.pop(key).close()
    shutil.rmtree(doomed, ignore_errors=True)


def remove_leftovers(folder):
    """Deletes what `replacing` left in a folder when its process was killed.

    Only for folders in which no other process is writing.
    """
    with writing(folder), os.scandir(folder) as entries:
        for entry in entries:
            if _LEFTOVER.fullmatch(entry.name):
                os.unlink(entry)


def _temporary(path):
    # Drawn, because the process numbers of two containers may be the same. A file of tempfile's
    # only its owner could read.
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


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
