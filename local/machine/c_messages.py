"""What C libraries write to the terminal by themselves: kept away, and logged once."""

import contextlib
import ctypes
import logging
import os
import threading

logger = logging.getLogger(__name__)

# Only the beginning of what they write is kept.
_NUM_BYTES = 2048


class _Diversion:
    """Where the `stderr` of the C library leads while anyone asks for silence.

    The stream of that name is exchanged, not the file descriptor: what Python writes, such as a
    progress bar in another thread, still reaches the terminal.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._users = 0
        self._text = ctypes.create_string_buffer(_NUM_BYTES)
        self._stderr = None
        library = ctypes.CDLL(None)
        if hasattr(library, "gnu_get_libc_version"):  # elsewhere, the name may be a constant
            self._flush = library.fflush
            self._flush.argtypes = [ctypes.c_void_p]
            library.fmemopen.restype = ctypes.c_void_p
            self._sink = library.fmemopen(self._text, ctypes.c_size_t(_NUM_BYTES), b"w")
            self._stderr = ctypes.c_void_p.in_dll(library, "stderr")
            self._original = self._stderr.value

    def begin(self):
        with self._lock:
            self._users += 1
            if self._stderr is not None:
                self._stderr.value = self._sink

    def end(self):
        """Returns what has been written, up to the first end of a line."""
        if self._stderr is None:
            return ""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._stderr.value = self._original
        self._flush(self._sink)
        return self._text.value.decode(errors="replace").partition("\n")[0]

    def begin_again(self):
        """In a forked process, where none of the other threads is left that asked for silence."""
        self._lock, self._users = threading.Lock(), 0
        if self._stderr is not None:
            self._stderr.value = self._original


_diversion = _Diversion()
os.register_at_fork(after_in_child=lambda: _diversion.begin_again())
_was_logged = False


@contextlib.contextmanager
def silenced(path):
    """A block in which C libraries write nothing to stderr; the first message goes to the log.

    Arguments
    ---------
    path : str or Path
        The file that the block reads, for the log. With several threads, it may be another one's.
    """
    global _was_logged
    _diversion.begin()
    try:
        yield
    finally:
        message = _diversion.end()
        if message and not _was_logged:
            _was_logged = True
            logger.warning(
                "%s: the decoder says '%s' (what else it says, of other files too, is not shown)",
                path,
                message.strip(),
            )
