"""A pickle to the array of numbers in it, without running anything that a pickle may name."""

import io
import math
import os
import pickle
import struct

import numpy as np

from local.errors import InputError

_FLOATS = ("f2", "f4", "f8")


class _Refused(Exception):
    """The pickle names something that it may not name."""


class _Dtype:
    """In place of numpy.dtype, which would take any state: of floating-point numbers only."""

    def __init__(self, name, *_):
        if name not in _FLOATS:
            raise _Refused(f"numbers of type {name!r}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state):
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """In place of numpy's array, which would take any shape: one that its bytes fill."""

    array = None

    def __setstate__(self, state):
        _, shape, dtype, is_fortran, data = state
        self.array = _filled(data, dtype, shape, "F" if is_fortran else "C")


def _filled(data, dtype, shape, order):
    numbers = np.frombuffer(data, dtype.dtype)
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"an array of shape {shape}")
    if len(numbers) != math.prod(shape):
        raise ValueError(f"{len(numbers)} numbers in place of {math.prod(shape)}")
    return numbers.reshape(shape, order=order)


def _reconstruct(*_):
    return _Array()


def _frombuffer(*arguments):
    array = _Array()
    array.array = _filled(*arguments)
    return array


def _encode(text, encoding):
    """Pickles of protocol 2 hold bytes as text and call this to encode it."""
    if encoding != "latin1":
        raise _Refused(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


_ADMITTED = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    # numpy 2 calls its inner package _core.
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
}


class _ArrayUnpickler(pickle._Unpickler):
    """The one in Python: that in C takes as much memory as a file of a few bytes asks for."""

    def find_class(self, module, name):
        if (module, name) not in _ADMITTED:
            raise _Refused(f"{module}.{name}")
        return _ADMITTED[module, name]

    def load_bytearray8(self):
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(self.read(size))

    def load_build(self):
        if type(self.stack[-2]) not in (_Array, _Dtype):
            raise _Refused("a change to something else")
        super().load_build()

    own = {pickle.BYTEARRAY8[0]: load_bytearray8, pickle.BUILD[0]: load_build}
    dispatch = pickle._Unpickler.dispatch | own


def load_array(path):
    """Reads a pickle that holds a single array of floating-point numbers.

    Any version of numpy may have written it, with any protocol. Raises an InputError if the file
    can't be read, is damaged, or holds anything else, which is not executed.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(os.fstat(file.fileno()).st_size)
        found = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except _Refused as refused:
        raise InputError(
            f"{path} holds {refused}: only an array of floating-point numbers is read from a "
            "pickle, which could run any program"
        ) from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    except Exception as error:
        # A damaged pickle raises whatever its bytes lead to.
        raise InputError(f"{path} is damaged, or no pickle ({error})") from error
    if type(found) is not _Array or found.array is None:
        raise InputError(f"{path} holds no array of floating-point numbers")
    return found.array
