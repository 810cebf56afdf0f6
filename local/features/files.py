"""Log-mel features of an utterance, before normalisation, to a file and back."""

import io
import os
import pickle
from functools import lru_cache, partial

import numpy as np

from local.atomic import replacing
from local.audio.checking import AudioInfo
from local.audio.table import FileKind
from local.errors import InputError
from local.features.safe_pickle import load_array

NPY, PICKLE = ".npy", ".pickle"
# In the order in which they are looked for.
FEATURE_EXTENSIONS = (NPY, PICKLE)
FORMATS = {"npy": NPY, "pickle": PICKLE}
DTYPES = ("float16", "float32")
# The length of the header of a `.npy` file that numpy has written.
_HEADER_BYTES = 128


def feature_kind(num_mels, frame_rate):
    """The `local.audio.table.FileKind` of features with a number of mels."""
    check = partial(check_features, num_mels=num_mels, frame_rate=frame_rate)
    return FileKind("feature", f"features-{num_mels}", FEATURE_EXTENSIONS, check)


def is_feature_file(path):
    """Whether a path is one of features, by its extension."""
    return os.fspath(path).endswith(FEATURE_EXTENSIONS)


def write_features(path, log_mel, dtype="float16"):
    """Writes the features of an utterance, whole or not at all.

    Arguments
    ---------
    path : str or Path
        Its extension decides the form: `.npy`, an array (frames, num_mels), of which a chunk can
        be read by itself; or `.pickle`, an array (num_mels, frames) of float32, as the original
        recipe writes it.
    log_mel : np.ndarray
        (frames, num_mels)
    dtype : str
        Of a `.npy`: "float32", or "float16", which rounds the logarithms by up to 0.008.

    Raises
    ------
    InputError
        If it can't be written.
    """
    # Not flushed: if a power failure leaves the file empty, check_features finds it.
    with replacing(path, flush=False) as temporary, open(temporary, "wb") as file:
        if os.fspath(path).endswith(PICKLE):
            pickle.dump(np.ascontiguousarray(log_mel.T, dtype=np.float32), file, protocol=4)
        else:
            np.save(file, np.ascontiguousarray(log_mel, dtype=dtype), allow_pickle=False)


def read_features(path, start=0, stop=None):
    """Reads frames of an utterance, without reading the other frames of a `.npy`.

    Arguments
    ---------
    path : str or Path
        Written by `write_features` or the original recipe.
    start, stop : int
        Frames; None is the end.

    Returns
    -------
    log_mel : np.ndarray
        (stop - start, num_mels), writable.

    Raises
    ------
    InputError
        If the file can't be read, has other than two axes of numbers, or ends before `stop`.
    """
    if os.fspath(path).endswith(PICKLE):
        log_mel = np.array(_opened(path)[start:stop])
    else:
        log_mel = _read_npy(path, start, stop)
    if not len(log_mel) or (stop is not None and len(log_mel) != stop - start):
        raise InputError(f"{path}: has no frames {start} to {stop}: make its manifest again")
    return log_mel


def _read_npy(path, start, stop):
    """What np.load(path, mmap_mode="r")[start:stop] gives, in a tenth of the time."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    try:
        layout = _layout(os.pread(file, _HEADER_BYTES, 0))
        if layout is None:
            return np.array(_opened(path)[start:stop])
        (num_frames, num_mels), dtype, offset = layout
        if offset + num_frames * num_mels * dtype.itemsize > os.fstat(file).st_size:
            raise InputError(f"{path} is damaged: its header says more than there is")
        stop = num_frames if stop is None else min(stop, num_frames)
        log_mel = np.empty((max(0, stop - start), num_mels), dtype)
        num_read = os.preadv(file, [log_mel], offset + start * num_mels * dtype.itemsize)
        return log_mel[: num_read // max(1, num_mels * dtype.itemsize)]
    finally:
        os.close(file)


@lru_cache(maxsize=10_000)
def _layout(head):
    """Shape, type and first byte of the array in a `.npy` file that begins with these bytes.

    None if `write_features` makes no such file. Utterances of one length share a header.
    """
    file = io.BytesIO(head)
    try:
        version = np.lib.format.read_magic(file)
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception:  # whatever its text leads to; numpy.load says it once more
        return None
    is_plain = version == (1, 0) and not is_fortran and len(shape) == 2 and dtype.kind == "f"
    return (shape, dtype, file.tell()) if is_plain else None


def check_features(path, num_mels, frame_rate):
    """The length of a feature file, once it is known to be sound.

    Returns an AudioInfo that counts frames in place of samples, `frame_rate` of them a second.
    Raises an InputError if the file can't be read, is cut, has no frames or another number of mels.
    """
    num_frames, found = _opened(path).shape
    if found != num_mels:
        raise InputError(f"{path} has {found} features a frame, not num_mels {num_mels}")
    if not num_frames:
        raise InputError(f"{path} has 0 frames")
    return AudioInfo(num_frames, frame_rate, 1)


def _opened(path):
    """The array (frames, num_mels) of a file; that of a `.npy` is mapped, not read."""
    log_mel = load_array(path).T if os.fspath(path).endswith(PICKLE) else _mapped(path)
    if log_mel.ndim != 2 or log_mel.dtype.kind != "f":
        raise InputError(f"{path} holds no features: expected two axes of floating-point numbers")
    return log_mel


def _mapped(path):
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged header raises whatever its text leads to
        raise InputError(f"{path} is damaged, or not a .npy file of numbers") from error
