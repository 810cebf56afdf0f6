"""Uniform numbers of chunks to what is drawn for them, on the CPU, and from there to the device.

All numbers that a chunk needs are drawn where it is cut (`local.data.chunks`), from its own seed.
What is chosen by them is known on the CPU, so that nothing ever waits for a GPU's answer.
"""

from local.models import padding


def check_bool(name, value):
    """Raises a ValueError for what is neither True nor False."""
    if not isinstance(value, bool):
        raise ValueError(f"augmentation: {name} is True or False, not {value!r}")


def check_probability(name, value):
    """Raises a ValueError for anything but a number from 0 to 1."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"augmentation: {name} is a number from 0 to 1, not {value!r}")


def check_range(name, values, low, high, is_whole=False):
    """Raises a ValueError for anything but two numbers from `low` to `high` in ascending order."""
    kind = "whole numbers" if is_whole else "numbers"
    is_pair = isinstance(values, list | tuple) and len(values) == 2 and all(map(_is_number, values))
    is_pair = is_pair and not (is_whole and any(value != int(value) for value in values))
    if not is_pair or not low <= values[0] <= values[1] <= high:
        raise ValueError(
            f"augmentation: {name} is a range [LOW, HIGH] of {kind} from {low:g} to {high:g}, the "
            f"lower one first, not {values!r}"
        )


def check_number(name, value, low, high, is_whole=False):
    """Raises a ValueError for anything but a number from `low` to `high`."""
    kind = "a whole number" if is_whole else "a number"
    is_fine = _is_number(value) and not (is_whole and value != int(value))
    if not is_fine or not low <= value <= high:
        raise ValueError(f"augmentation: {name} is {kind} from {low:g} to {high:g}, not {value!r}")


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def chosen(uniform, probability):
    """The rows that happen with a probability: (batch,) from 0 to below 1 -> int64 (rows,).

    Example
    -------
    >>> import torch
    >>> chosen(torch.tensor([0.1, 0.9, 0.4]), probability=0.5)
    tensor([0, 2])
    """
    return (uniform < probability).nonzero()[:, 0]


def between(uniform, limits):
    """Numbers within limits, all equally probable: any shape -> the same."""
    low, high = limits
    return low + (high - low) * uniform


def whole_between(uniform, limits):
    """Whole numbers within limits, both included: any shape -> int64 of the same.

    Example
    -------
    >>> import torch
    >>> whole_between(torch.tensor([0.0, 0.5, 0.99]), (3, 7))
    tensor([3, 5, 7])
    """
    low, high = limits
    return low + (uniform * (high - low + 1)).long()


def beside(values, tensor):
    """Values of the CPU on the device of a tensor and, unless they are indices, in its type."""
    if values.is_floating_point():
        values = values.to(tensor.dtype)
    return padding.beside(values, tensor)


def level(waveforms):
    """The root of the mean square of each: (rows, samples) -> (rows, 1)."""
    return waveforms.square().mean(dim=1, keepdim=True).sqrt()


def at_level_of(before, after):
    """`after` at the level of `before`, each of (rows, samples). Silence stays silent."""
    return after * (level(before) / level(after).clamp(min=1e-9))
