"""What the file of a stranger may take of the memory."""

import contextlib
import math

import torch

# Beside the weights: features, and what is computed while a network is made.
_SPARE_BYTES = 2**26
_COPIES = 4
_FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn)


class _Limited(torch.overrides.TorchFunctionMode):
    """Adds up the memory of new tensors, and stops before one is made that is too large."""

    def __init__(self, num_bytes):
        super().__init__()
        self.left = num_bytes
        self.seen = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in _FACTORIES:
            sizes = args[0] if args and isinstance(args[0], tuple | list) else args
            self._check(math.prod(sizes))
        result = func(*args, **(kwargs or {}))
        if torch.is_tensor(result):
            storage = result.untyped_storage()
            if storage.data_ptr() not in self.seen:
                self.seen.add(storage.data_ptr())
                self.left -= storage.nbytes()
                self._check(0)
        return result

    def _check(self, num_bytes):
        if num_bytes > self.left:
            raise ValueError("the network needs more memory than its weights would: another width?")


@contextlib.contextmanager
def limited(num_bytes):
    """A block that makes a network whose weights have `num_bytes`.

    Raises a ValueError in it before the network takes much more memory than these.
    """
    with _Limited(_COPIES * num_bytes + _SPARE_BYTES):
        yield
