"""Names to checked audio files; what was found is kept from one run to the next."""

import os
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.pool import ThreadPool
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from local.atomic import replacing
from local.audio.checking import AudioInfo, check_audio
from local.audio.finding import EXTENSIONS
from local.audio.parts import WHOLE, find_part, split_part
from local.errors import InputError

# Raise it whenever check_audio finds something new: all files are then checked again.
_VERSION = 2
_NUM_FACTS = 5
_FILES_PER_BLOCK = 256
# Threads pay where they wait for a disk. With audio in the system's cache, they only hinder each
# other.
_NUM_WORKERS = 32
_WAITING_SHARE = 0.5
# Of a million files, saving takes some seconds.
_SECONDS_BETWEEN_SAVES = 120.0


class FileKind(NamedTuple):
    """What to look for under the names of a list."""

    what: str  # its name in messages
    table: str  # its name in that of the table file
    extensions: tuple  # in the order in which they are tried
    check: Callable  # path -> AudioInfo; raises an InputError


AUDIO = FileKind("audio", "audio", EXTENSIONS, check_audio)


class Audio(NamedTuple):
    """What was found under a name: `info` if there is a sound file, else the `problem`.

    `start` is the first sample of the utterance: one file may have many. `info` is that of the
    utterance; `channel` is the one to read, counted from 1, and 0 the mean of all.
    """

    path: str
    size: int = 0
    mtime_ns: int = 0
    info: AudioInfo | None = None
    is_new: bool = False
    problem: str | None = None
    start: int = 0
    channel: int = 0


def _load(path):
    """What an earlier run found: path -> (size, mtime_ns, and the three fields of its AudioInfo).

    Empty if there is no such table, or none that can be used.
    """
    try:
        with np.load(path, allow_pickle=False) as columns:
            paths = columns["paths"].tobytes().decode().split("\0")
            facts = columns["facts"].astype(np.int64, casting="safe")
            if columns["version"] == _VERSION and facts.shape == (len(paths), _NUM_FACTS):
                return dict(zip(paths, map(tuple, facts.tolist()), strict=True))
    except Exception:
        pass  # whatever is wrong with the file, audio can be examined again
    return {}


def _save(path, table):
    table = dict(table)  # after Ctrl-C, threads may still add to it
    paths = np.frombuffer("\0".join(table).encode(), dtype=np.uint8)
    facts = np.array(list(table.values()), dtype=np.int64).reshape(-1, _NUM_FACTS)
    # A file object, because np.savez would add an extension to a name.
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, version=_VERSION, paths=paths, facts=facts)


def examine_audio(names, data_dir, table_path, progress=True, kind=AUDIO):
    """Finds and checks the audio (or features) of many utterances.

    Files that an earlier run has checked, and that have not changed since, aren't opened. What
    was found is kept even if the run is interrupted.

    Arguments
    ---------
    names : list of str
        Relative to the str `data_dir`, with or without extension.
    table_path : Path
        Where the table is kept; its folder must exist.
    progress : bool
        Whether to show a progress bar.
    kind : FileKind

    Yields
    ------
    audio : Audio
        One for each name, in the order of `names`.
    """
    table = _load(table_path)
    is_changed, saved = False, time.monotonic()
    examine = partial(_examine, data_dir=data_dir, table=table, kind=kind)
    bar = tqdm(total=len(names), desc=kind.what, unit=" files", disable=not progress)
    try:
        with bar, ThreadPool(_NUM_WORKERS) as pool:
            for audios in _mapped(examine, names, pool):
                for audio in audios:
                    is_changed = is_changed or audio.is_new
                    yield audio
                bar.update(len(audios))
                if is_changed and time.monotonic() > saved + _SECONDS_BETWEEN_SAVES:
                    _save(table_path, table)  # now, for a kill doesn't wait
                    is_changed, saved = False, time.monotonic()
    finally:
        if is_changed:
            _save(table_path, table)


def _mapped(function, items, pool):
    """Yields the results in blocks; uses the pool where the block before waited for the disk."""
    waited = False
    for first in range(0, len(items), _FILES_PER_BLOCK):
        block = items[first : first + _FILES_PER_BLOCK]
        began, used = time.perf_counter(), time.process_time()
        results = pool.map(function, block) if waited else [function(item) for item in block]
        elapsed, used = time.perf_counter() - began, time.process_time() - used
        waited = used < (1.0 - _WAITING_SHARE) * elapsed
        yield results


def missing_problem(name, data_dir, kind=AUDIO):
    """The message for a name without a file."""
    if kind is AUDIO:
        name, _ = split_part(name)
    path, tried = os.path.join(data_dir, name), " ".join(kind.extensions)
    for link in (path, *(path + extension for extension in kind.extensions)):
        if os.path.islink(link) and not os.path.exists(link):
            return f"{link} is a link to {os.readlink(link)}, which is not there"
    return f"there is no {kind.what} file {path} (tried the extensions {tried})"


def _examine(name, data_dir, table, kind):
    found = find_part(data_dir, name, kind.extensions)
    if found is None:
        problem = missing_problem(name, data_dir, kind)
        return Audio(os.path.join(data_dir, name), problem=problem)
    path, status, part = found
    stamp = status.st_size, status.st_mtime_ns
    facts = table.get(path)
    is_new = not facts or facts[:2] != stamp
    try:
        if is_new:
            info = kind.check(path)
            # At once: a recording may have many parts.
            table[path] = (*stamp, info.num_samples, info.sample_rate, info.num_channels)
        else:
            info = AudioInfo(*facts[2:])
        start, info = (0, info) if part is WHOLE else part.cut(path, info)
    except InputError as error:
        return Audio(path, is_new=is_new, problem=str(error))
    return Audio(path, *stamp, info, is_new, None, start, part.channel)
