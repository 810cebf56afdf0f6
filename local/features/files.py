"""Log-mel features on disk: before normalisation, a file for each utterance."""

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
# Of a `.npy` file, which hold its header, if numpy has written it.
_HEAD_BYTES = 128


def feature_kind(num_mels, frame_rate):
    """What is looked for under the names of a list: features of so many mels.

    Returns
    -------
    kind : local.audio.table.FileKind
    """
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
        Its extension says the form: `.npy`, of (frames, num_mels), of which a window can be read
        by itself; or `.pickle`, of (num_mels, frames) in float32, as the original's scripts do.
    log_mel : np.ndarray
        (frames, num_mels)
    dtype : str
        Of a `.npy`: "float32", or "float16", which rounds the logarithms by up to 0.008.

    Raises
    ------
    InputError
        If it can't be written.

    Example
    -------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/a.npy"
    >>> write_features(path, np.ones((5, 80)))
    >>> read_features(path, 1, 3).shape
    (2, 80)
    """
    # A file that a power cut may leave empty is found when it is looked at: see check_features.
    with replacing(path, flush=False) as temporary, open(temporary, "wb") as file:
        if os.fspath(path).endswith(PICKLE):
            pickle.dump(np.ascontiguousarray(log_mel.T, dtype=np.float32), file, protocol=4)
        else:
            np.save(file, np.ascontiguousarray(log_mel, dtype=dtype), allow_pickle=False)


def read_features(path, start=0, stop=None):
    """Reads frames of an utterance; of a `.npy`, only these.

    Arguments
    ---------
    path : str or Path
        Of `write_features`, or a pickle of the original's scripts.
    start, stop : int
        Frames; None is the end.

    Returns
    -------
    log_mel : np.ndarray
        (stop - start, num_mels), of its own memory.

    Raises
    ------
    InputError
        If it can't be read, has other than two axes of numbers, or ends before `stop`.
    """
    if os.fspath(path).endswith(PICKLE):
        window = np.array(_opened(path)[start:stop])
    else:
        window = _read_npy(path, start, stop)
    if not len(window) or (stop is not None and len(window) != stop - start):
        raise InputError(f"{path}: has no frames {start} to {stop}: make its manifest again")
    return window


def _read_npy(path, start, stop):
    """What np.load(path, mmap_mode="r")[start:stop] gives, in a fraction of the time."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    try:
        layout = _layout(os.pread(file, _HEAD_BYTES, 0))
        if layout is None:
            return np.array(_opened(path)[start:stop])
        (num_frames, num_mels), dtype, offset = layout
        stop = num_frames if stop is None else min(stop, num_frames)
        window = np.empty((max(0, stop - start), num_mels), dtype)
        num_read = os.preadv(file, [window], offset + start * num_mels * dtype.itemsize)
        return window[: num_read // max(1, num_mels * dtype.itemsize)]
    finally:
        os.close(file)


@lru_cache(maxsize=10_000)
def _layout(head):
    """Shape, type and first byte of the array that a `.npy` file with this head has.

    None, if it is not one as `write_features` makes it.
    """
    file = io.BytesIO(head)
    try:
        version = np.lib.format.read_magic(file)
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError:
        return None
    is_plain = version == (1, 0) and not is_fortran and len(shape) == 2 and dtype.kind == "f"
    return (shape, dtype, file.tell()) if is_plain else None


def check_features(path, num_mels, frame_rate):
    """The length of a feature file, once it is known to be sound.

    Arguments
    ---------
    path : str or Path
    num_mels : int
        That it must have.
    frame_rate : float
        Frames a second.

    Returns
    -------
    info : local.audio.checking.AudioInfo
        Frames in place of samples.

    Raises
    ------
    InputError
        If it can't be read, is cut, has no frames or another number of mels. The text names the
        file.
    """
    if os.path.isdir(path):
        raise InputError(f"{path} is a directory, not a feature file")
    num_frames, found = _opened(path).shape
    if found != num_mels:
        raise InputError(f"{path} has {found} features a frame, not num_mels {num_mels}")
    if not num_frames:
        raise InputError(f"{path} has 0 frames")
    return AudioInfo(num_frames, frame_rate, 1)


def _opened(path):
    """(frames, num_mels), of a `.npy` not in memory yet."""
    log_mel = load_array(path).T if os.fspath(path).endswith(PICKLE) else _mapped(path)
    if log_mel.ndim != 2 or log_mel.dtype.kind != "f":
        raise InputError(f"{path} holds no features: expected two axes of floating-point numbers")
    return log_mel


def _mapped(path):
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} is damaged, or no .npy file of numbers") from error
