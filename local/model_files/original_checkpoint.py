"""Checkpoints of the original code, read without running anything that they may name."""

import argparse
import pickle
import re
from typing import NamedTuple

import numpy as np
import torch

from local.errors import InputError

SHOWN_NAMES = 5


class Original(NamedTuple):
    """A checkpoint of the original code.

    Arguments
    ---------
    path : str or Path
    parameters : dict
        Name -> tensor, without the `module.` that training on several GPUs puts before names.
    settings : dict
        Of the command line it was trained with; empty where the checkpoint has none.
    epoch, step : int
        0 where the checkpoint does not say.
    """

    path: str
    parameters: dict
    settings: dict
    epoch: int
    step: int


class _Refused(Exception):
    """What the pickle holds, and may not."""


class _NumberType:
    """In place of numpy.dtype, whose state in a pickle could describe any memory."""

    def __init__(self, name, *options):
        self.name = name
        self.byte_order = "="

    def __setstate__(self, state):
        self.byte_order = state[1]


def _number(number_type, data):
    """In place of what numpy's scalars name in a pickle: a plain Python number."""
    if not re.fullmatch("[fiub][1248]", number_type.name):
        raise _Refused(f"a numpy scalar of the type {number_type.name!r}")
    order = number_type.byte_order.replace("|", "=")
    return np.frombuffer(data, order + number_type.name)[0].item()


# Newer numpy calls its inner package _core.
_ADMITTED = [
    argparse.Namespace,
    (_NumberType, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
]


def read_original(path):
    """Reads a checkpoint of the original code; nothing that it names is executed.

    Arguments
    ---------
    path : str or Path
        A .chkpt or .pt file.

    Returns
    -------
    original : Original

    Raises
    ------
    InputError
        If it can't be read, is damaged, has no parameters, or holds other objects than tensors,
        numbers, texts and the settings.
    """
    content = _load(path)
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        keys = f" with {listed(list(content)) or 'nothing'}" if isinstance(content, dict) else ""
        raise InputError(
            f"{path}: is no checkpoint of the original code, which is a dict whose 'model' is a "
            f"dict of parameters: it holds a {type(content).__name__}{keys}"
        )
    return Original(
        path,
        _parameters(content["model"], path),
        _settings(content.get("settings")),
        _count(content.get("epoch")),
        _count(content.get("step")),
    )


def _load(path):
    try:
        with torch.serialization.safe_globals(_ADMITTED):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error})") from error
    except _Refused as refused:
        raise _refusal(path, refused) from None
    except Exception as error:
        # A damaged file raises whatever its bytes lead to.
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named and isinstance(error, pickle.UnpicklingError):
            raise _refusal(path, named[1]) from None
        raise InputError(f"{path}: is damaged, or not a checkpoint") from error


def _refusal(path, what):
    return InputError(
        f"{path}: holds {what}: only tensors, numbers, texts and argparse.Namespace are read from "
        "a checkpoint, which could run any program"
    )


def _parameters(model, path):
    wrong = [name for name, value in model.items() if not _is_parameter(name, value)]
    if wrong:
        raise InputError(f"{path}: of 'model' are no tensors of numbers: {listed(wrong)}")
    parameters = {name.removeprefix("module."): value.detach() for name, value in model.items()}
    if len(parameters) < len(model):
        raise InputError(f"{path}: has parameters twice, with and without 'module.'")
    return parameters


def _is_parameter(name, value):
    if not isinstance(name, str) or not isinstance(value, torch.Tensor):
        return False
    return value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized


def _settings(value):
    if isinstance(value, argparse.Namespace):
        return vars(value)
    return value if isinstance(value, dict) else {}


def _count(value):
    return value if isinstance(value, int) and value >= 0 else 0


def listed(names):
    """The first few names, and how many more there are.

    Example
    -------
    >>> listed(["b2.bias"]), listed("abcdefg")
    ('b2.bias', 'a, b, c, d, e and 2 more')
    """
    rest = len(names) - SHOWN_NAMES
    return ", ".join(map(str, names[:SHOWN_NAMES])) + (f" and {rest} more" if rest > 0 else "")
