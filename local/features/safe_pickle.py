"""A pickle to the array of numbers in it, without running anything that a pickle may name."""

import codecs
import pickle

import numpy as np

from local.errors import InputError

# numpy 2 calls its inner package _core.
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFER_MODULES = ("numpy.core.numeric", "numpy._core.numeric")
_FLOATS = ("f2", "f4", "f8")


class _Refused(Exception):
    """The pickle names something that it may not name."""


def _float_dtype(name, *options):
    """numpy.dtype, of floating-point numbers only: an array of objects could hold anything."""
    if name not in _FLOATS:
        raise _Refused(f"numbers of type {name!r}")
    return np.dtype(name, *options)


def _encode(text, encoding):
    """Pickles of protocol 2 hold bytes as text and call this to encode it."""
    if encoding != "latin1":
        raise _Refused(f"bytes in the encoding {encoding!r}")
    return codecs.encode(text, encoding)


_ADMITTED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _float_dtype,
    ("_codecs", "encode"): _encode,
    **{(module, "_reconstruct"): np.zeros(1).__reduce__()[0] for module in _MODULES},
    **{(module, "_frombuffer"): np.zeros(1).__reduce_ex__(5)[0] for module in _BUFFER_MODULES},
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _ADMITTED:
            raise _Refused(f"{module}.{name}")
        return _ADMITTED[module, name]


def load_array(path):
    """Reads a pickle that holds a single array of floating-point numbers.

    Any version of numpy may have written it, with any protocol. Raises an InputError if the file
    can't be read, is damaged, or holds anything else, which is not executed.
    """
    try:
        with open(path, "rb") as file:
            array = _ArrayUnpickler(file, encoding="latin1").load()
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
    if type(array) is not np.ndarray or array.dtype.kind != "f":
        raise InputError(f"{path} holds no array of floating-point numbers")
    return array
