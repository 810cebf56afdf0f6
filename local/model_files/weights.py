"""A file of torch.save to its tensors and plain values; runs nothing of it."""

import io
import os
import pickletools
import re
import zipfile

import torch

from local.errors import InputError

# Without the tensors: that of a hundred layers and their optimizer has 50 kB.
MAX_PICKLE_BYTES = 4_000_000
NUM_OLD_PICKLES = 5  # of a file from before torch 1.6, one after the other
# What pickles of state dictionaries name.
_NAMED = re.compile(
    r"collections OrderedDict|torch \w+Storage|torch\._utils _rebuild_(tensor_v2|parameter)"
)
_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64}


class _Refused(Exception):
    """The file names something that it may not name."""


def load_weights(path, more_types=(), may_be_old=False):
    """What is in a file of torch.save, perhaps a stranger's.

    torch.load(weights_only=True) executes nothing, but a file of a few bytes may have it fill the
    memory. Here a file takes no more memory than it is long.

    Arguments
    ---------
    path : str or Path
    more_types : sequence of type
        That may be in it besides tensors and what is plain.
    may_be_old : bool
        Whether it may be in the format that torch had before 1.6.

    Returns
    -------
    content : dict
        On the CPU; tensors are read from the file when they are used.

    Raises
    ------
    InputError
        If the file can't be read, is damaged, or has anything else in it.
    """
    try:
        names = {f"{more.__module__} {more.__name__}" for more in more_types}
        with _Bounded(path) as file:
            is_zip = zipfile.is_zipfile(file)
            file.seek(0)
            for pickle in _pickles_of_zip(file) if is_zip else (file,):
                _check_names(pickle, names, 1 if is_zip else NUM_OLD_PICKLES)
        with torch.serialization.safe_globals(list(more_types)):
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=is_zip or not may_be_old
            )
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error})") from error
    except _Refused as refused:
        raise InputError(
            f"{path}: holds {refused}: only tensors and plain values are read, as others could run "
            "programs"
        ) from None
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        raise InputError(f"{path}: is damaged, or not a checkpoint") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is damaged, or no checkpoint: it holds no dictionary")
    return content


class _Bounded(io.FileIO):
    """A file of which much can't be read at once: a list of millions of entries, for example."""

    def read(self, size=-1):
        size = os.fstat(self.fileno()).st_size - self.tell() if size < 0 else size
        if size > MAX_PICKLE_BYTES:
            raise ValueError(f"{size} bytes besides the tensors")
        return super().read(size)


def _pickles_of_zip(file):
    """The pickles in a zip archive, which torch writes without compression."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        is_plain = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        if not is_plain or sum(entry.file_size for entry in entries) > file.seek(0, os.SEEK_END):
            raise ValueError("it is compressed")
        for entry in entries:
            if entry.filename.endswith("data.pkl"):
                yield io.BytesIO(archive.read(entry))


def _check_names(file, more_names, num_pickles):
    """Raises _Refused if pickles, one after the other, name what is not in state dictionaries.

    torch admits more, such as bytearray, which fills as much memory as it is told.
    """
    for _ in range(num_pickles):
        for code, name, _ in pickletools.genops(file):
            is_name = code.name in ("GLOBAL", "INST", "STACK_GLOBAL")
            if is_name and not _NAMED.fullmatch(str(name)) and name not in more_names:
                raise _Refused(str(name).replace(" ", "."))


def on_cpu(content):
    """State dictionaries, and what holds them, with all tensors on the CPU.

    A file with tensors of a GPU could not be loaded where there is none.
    """
    if torch.is_tensor(content):
        return content.cpu()
    if isinstance(content, dict):
        return {key: on_cpu(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(map(on_cpu, content))
    return content


def check_tensors(state, path):
    """Refuses what is no dictionary of finite tensors that are as large as they say.

    A tensor of any shape can stand for one number of a file, until something copies it.
    """
    if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
        raise InputError(f"{path}: is damaged, or not a checkpoint: it holds no tensors")
    left = 2 * os.path.getsize(path)
    for name, tensor in state.items():
        num_bytes = tensor.numel() * tensor.element_size()
        left -= num_bytes
        is_plain = isinstance(name, str) and tensor.dtype in _DTYPES and tensor.is_cpu
        if not is_plain or num_bytes > tensor.untyped_storage().nbytes() or left < 0:
            raise InputError(f"{path}: is damaged: {name!r} is no tensor of the size that it says")
        if not tensor.isfinite().all():
            raise InputError(f"{path}: {name!r} holds parameters that are not finite")


def misfits(here, there):
    """A line for each weight that two state dictionaries do not have in the same shape."""
    lines = []
    for name in dict.fromkeys([*here, *there]):
        shapes = [_shape(weights.get(name)) for weights in (here, there)]
        if shapes[0] != shapes[1]:
            lines.append(f"{name}: {shapes[0]} here, {shapes[1]} there")
    return lines


def _shape(weight):
    if weight is None:
        return "nothing"
    shape = getattr(weight, "shape", None)
    return "no tensor" if shape is None else "x".join(map(str, shape)) or "one number"
