"""A file of weights, which a stranger may have written, to tensors.

torch.load(weights_only=True) runs no program, but believes what a file says of sizes: one of a few
kilobytes can fill the memory. Here a file takes no more than a few times its own size.
"""

import io
import os
import pickletools
import re
import zipfile

import torch

from local.errors import InputError

# Of what a file holds beside the tensors; that of a hundred layers has 50 kB.
MAX_PICKLE_BYTES = 4_000_000
# What the pickles of state dictionaries name.
_NAMED = r"collections OrderedDict|torch \w+Storage|torch\._utils _rebuild_(tensor_v2|parameter)"
# In files from before torch 1.6.
_NUM_LEGACY_PICKLES = 5
_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64}


class _Refused(Exception):
    """The file names something that it may not name."""


class _Bounded(io.FileIO):
    """A file of which much can't be read at once: a list of millions of parts, for example."""

    def read(self, size=-1):
        size = os.fstat(self.fileno()).st_size - self.tell() if size < 0 else size
        if size > MAX_PICKLE_BYTES:
            raise ValueError(f"{size} bytes beside the tensors")
        return super().read(size)


def load(path, *classes, legacy=False):
    """Reads what torch.save has written: tensors, numbers, texts, lists and dictionaries.

    Arguments
    ---------
    path : str or Path
    classes : classes
        What it may hold besides.
    legacy : bool
        Whether the format from before torch 1.6 is read, too.

    Raises
    ------
    InputError
        If it can't be read, is damaged, or holds anything else.
    """
    try:
        with _Bounded(path) as file:
            is_zip = zipfile.is_zipfile(file)
            if is_zip:
                _check_names(io.BytesIO(_pickle_in(file)), 1, classes)
            elif legacy:
                file.seek(0)
                _check_names(io.BytesIO(file.read(MAX_PICKLE_BYTES)), _NUM_LEGACY_PICKLES, classes)
        with torch.serialization.safe_globals(list(classes)):
            # Mapped: what the file says of sizes takes no memory. The older format can't be.
            is_mapped = is_zip or not legacy
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped)
    except _Refused as refused:
        names = ["texts", *(f"{other.__module__}.{other.__qualname__}" for other in classes)]
        raise InputError(
            f"{path}: holds {refused}: only tensors, numbers, {' and '.join(names)} are read, as "
            "others could run programs"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error})") from error
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        raise InputError(f"{path}: is damaged, or not a checkpoint") from error


def _pickle_in(file):
    """The pickle of a zip file, whose parts are as large as they say and not compressed."""
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        is_plain = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
        if not is_plain or sum(part.file_size for part in parts) > file.seek(0, os.SEEK_END):
            raise ValueError("compressed, or larger than the file")
        (pickle,) = (part for part in parts if part.filename.endswith("/data.pkl"))
        return archive.read(pickle)


def _check_names(file, num_pickles, classes):
    """Refuses pickles that name anything but what makes tensors, and these classes."""
    admitted = {f"{other.__module__} {other.__qualname__}" for other in classes}
    for _ in range(num_pickles):
        for opcode, argument, _ in pickletools.genops(file):
            is_name = opcode.name in ("GLOBAL", "INST", "STACK_GLOBAL")
            if is_name and argument not in admitted and not re.fullmatch(_NAMED, str(argument)):
                raise _Refused(str(argument).replace(" ", "."))


def check_tensors(tensors, path):
    """Refuses what is no dictionary of finite tensors that are as large as they say.

    A tensor of any shape can stand for a single number: it takes no memory before it is copied.
    """
    if not isinstance(tensors, dict) or not all(map(torch.is_tensor, tensors.values())):
        raise InputError(f"{path}: is damaged, or not a checkpoint: it holds no tensors")
    left = 2 * os.path.getsize(path)
    for name, tensor in tensors.items():
        num_bytes = tensor.numel() * tensor.element_size()
        left -= num_bytes
        is_plain = isinstance(name, str) and tensor.dtype in _DTYPES and tensor.is_cpu
        if not is_plain or num_bytes > tensor.untyped_storage().nbytes() or left < 0:
            raise InputError(f"{path}: is damaged: {name!r} is no tensor of the size that it says")
        if not tensor.isfinite().all():
            raise InputError(f"{path}: {name!r} holds parameters that are not finite")
