"""What computes in float32, whatever the precision of what is around it."""

import functools

import torch


def in_float32(method):
    """A method of a module that takes tensors: it is not changed by autocast, nor are its inputs.

    What SpeechBrain's `fwd_default_precision` does, without importing SpeechBrain, which takes most
    of a second: a model is used without it.

    Example
    -------
    >>> class Sum(torch.nn.Module):
    ...     forward = in_float32(lambda self, values: values @ values.T)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     Sum()(torch.ones(2, 2, dtype=torch.bfloat16)).dtype
    torch.float32
    """

    @functools.wraps(method)
    def wrapper(self, first, *others):
        kind = first.device.type
        if not torch.is_autocast_enabled(kind):
            return method(self, first, *others)
        with torch.autocast(kind, enabled=False):
            return method(self, *map(_cast, (first, *others)))

    return wrapper


def _cast(value):
    is_float = torch.is_tensor(value) and value.is_floating_point() and value.dtype != torch.float64
    return value.float() if is_float else value
