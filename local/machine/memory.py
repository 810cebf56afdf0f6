"""Errors of memory that ran out to what was tried."""

import re

# Of torch's allocators and of what NVIDIA's libraries allocate themselves.
_MARKS = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
_TRIED = re.compile(r"tried to allocate ([\d.]+) (\w+)", re.IGNORECASE)
_CAPACITY = re.compile(r"GPU \d+ has a total capacity of [\d.]+ \w+")


def what_was_tried(error):
    """What could not be allocated, as text; None if the error is another one.

    Example
    -------
    >>> message = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of "
    >>> what_was_tried(RuntimeError(f"{message}23.64 GiB of which 1.1 GiB is free."))
    'tried to allocate 2.00 GiB; GPU 0 has a total capacity of 23.64 GiB'
    """
    text = " ".join(str(error).split())
    if not isinstance(error, MemoryError) and not any(mark in text for mark in _MARKS):
        return None
    tried, capacity = _TRIED.search(text), _CAPACITY.search(text)
    if not tried:
        return text or "the system gives no more"
    number, unit = tried.groups()
    size = f"{int(number) / 1e9:.3g} GB" if unit == "bytes" else f"{number} {unit}"
    return f"tried to allocate {size}" + (f"; {capacity[0]}" if capacity else "")
