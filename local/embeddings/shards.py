"""Embeddings on disk as they are computed, and from there again: what was interrupted goes on.

A shard is an `.npz` with the results of some batches. A batch is known by a digest of all that its
embeddings depend on, to the last bit: the model, the settings, and its recordings. So a shard
serves whatever else has changed, and is never taken for something else.
"""

import contextlib
import functools
import hashlib
import os
import tempfile
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from local.atomic import remove_locked, replacing, writing
from local.errors import InputError
from local.machine import processes

# A shard is written after this time, which is what a kill costs, or when it is this large.
SHARD_SECONDS = 30.0
SHARD_BYTES = 1 << 26
_ENDING = ".shard.npz"


class Embedded(NamedTuple):
    """The embeddings of a manifest, in its order. They are mapped from a file, not in memory."""

    embeddings: np.ndarray  # float32 (num_rows, embedding_size); what failed is 0
    levels: np.ndarray  # int8 (num_rows,), see `local.embeddings.levels`
    alignments: np.ndarray  # float32 (states of all rows, heads), if they were recorded
    ends: np.ndarray  # int64 (num_rows + 1,): where the alignments of each row begin and end
    failures: dict  # row -> what is wrong

    def alignment(self, row):
        """The attention weights of a row: float32 (states, heads)."""
        return self.alignments[self.ends[row] : self.ends[row + 1]]


class Shards:
    """The shards of a folder.

    Arguments
    ---------
    folder : str or Path
        On a disk that all processes share.
    facts : tuple
        What decides the embeddings of a batch of recordings, besides these.
    """

    def __init__(self, folder, facts):
        self.folder = Path(folder)
        self._facts = facts

    def find(self, rows, batches):
        """Looks for the batches of a manifest; called in the first process. Makes the folder.

        Arguments
        ---------
        rows : list of tuple
            (path, start, stop, ...) of each recording.
        batches : list of list of int
            Indices into rows.

        Returns
        -------
        keys : list of bytes
            Of each batch.
        missing : list of int
            Indices into batches.
        number : int
            That the next shard gets.
        """
        with writing(self.folder):
            self.folder.mkdir(exist_ok=True)
        known, number = set(), 0
        for path, shard in self._read():
            number = int(path.name.partition(".")[0]) + 1
            for key, part in _parts(shard):
                if shard["is_read"][part].all():
                    known.add(key)
        keys = self._keys(rows, batches)
        return keys, [index for index, key in enumerate(keys) if key not in known], number

    def _keys(self, rows, batches):
        facts = hashlib.sha256(repr(self._facts).encode())
        stamp = functools.cache(file_stamp)  # packed audio has many recordings in a file
        keys = {}  # a set that keeps its order
        for batch in batches:
            digest = facts.copy()
            for row in batch:
                digest.update(repr((rows[row], stamp(rows[row][0]))).encode())
            while digest.digest() in keys:  # a recording that is there twice
                digest.update(b"again")
            keys[digest.digest()] = None
        return list(keys)

    def _read(self):
        """Yields (path, dictionary of arrays) of each shard that is whole, from old to new."""
        for path in sorted(self.folder.glob(f"*{_ENDING}")):
            try:
                with np.load(path, allow_pickle=False) as content:
                    shard = dict(content)
            except (OSError, ValueError, EOFError, zipfile.BadZipFile):
                continue  # damaged: what it had is embedded again
            yield path, shard

    def join(self, keys, batches, failures):
        """Puts the batches of a manifest together: an Embedded."""
        numbers = {key: index for index, key in enumerate(keys)}
        num_rows = sum(map(len, batches))
        found, num_states, widths = {}, np.zeros(num_rows, np.int64), (0, 0)
        for path, shard in self._read():
            for key, part in _parts(shard):
                number = numbers.get(key)
                if number is not None:
                    found[number] = path  # that of the last run, if it was incomplete before
                    num_states[batches[number]] = shard["num_states"][part]
                    widths = shard["embeddings"].shape[1], shard["alignments"].shape[1]
        ends = np.concatenate([[0], np.cumsum(num_states)])
        with writing(self.folder):
            embeddings = self._mapped(num_rows, widths[0])
            alignments = self._mapped(int(ends[-1]), widths[1])
        embedded = Embedded(embeddings, np.zeros(num_rows, np.int8), alignments, ends, failures)
        for path, shard in self._read():
            for key, part in _parts(shard):
                number = numbers.get(key)
                if found.get(number) == path:
                    _copy(shard, part, embedded, batches[number])
        return embedded

    def _mapped(self, *shape):
        """An array of float32 in a file that has no name, and goes with the array."""
        if not all(shape):
            return np.zeros(shape, np.float32)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            # On a full disk, this is an error; without it, the process would be killed later on.
            os.posix_fallocate(file.fileno(), 0, 4 * shape[0] * shape[1])
            return np.asarray(np.memmap(file, np.float32, "r+", shape=shape))


@contextlib.contextmanager
def removing(folder):
    """Deletes a folder of shards when the block ends, if this process has locked it.

    After an InputError it stays, if there is something in it to go on from.
    """
    try:
        yield
    except InputError:
        if not any(Path(folder).glob(f"*{_ENDING}")):
            remove_locked(folder)
        raise
    remove_locked(folder)


def digests(*paths):
    """The digest of each of some files, for the facts of Shards."""
    return tuple(hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths)


class Writer:
    """Writes the shards of one process to a folder; `number` is that of the first one."""

    def __init__(self, folder, number):
        self._folder = folder
        self._number = number
        self._clear()

    def _clear(self):
        self._batches = []
        self._num_bytes = 0
        self._began = time.monotonic()

    def add(self, key, rows, batch, embeddings, alignments):
        """Adds a batch, and writes a shard if it is time for one.

        Arguments
        ---------
        key : bytes
        rows : list of int
            Those that the batch should have.
        batch : local.embeddings.embed.Utterances
            Those that could be read, one or more, in the same order.
        embeddings : np.ndarray
            float32 (batch, embedding_size)
        alignments : list of np.ndarray
            float32 (states, heads) of each; empty if they aren't recorded.
        """
        is_read = np.isin(rows, batch.indices)
        values = {
            "embeddings": embeddings,
            "levels": np.array(batch.levels, np.int8),
            "num_states": np.array([*map(len, alignments)] or [0] * len(embeddings)),
        }
        part = {"keys": np.frombuffer(key, np.uint8)[None], "sizes": np.array([len(rows)])}
        for name, known in values.items():
            part[name] = np.zeros((len(rows), *known.shape[1:]), known.dtype)
            part[name][is_read] = known
        part["is_read"] = is_read
        part["alignments"] = np.concatenate(alignments or [np.zeros((0, 0), np.float32)])
        self._batches.append(part)
        self._num_bytes += sum(array.nbytes for array in part.values())
        if self._num_bytes > SHARD_BYTES or time.monotonic() > self._began + SHARD_SECONDS:
            self.flush()

    def flush(self):
        """Writes what is not written yet."""
        if not self._batches:
            return
        path = self._folder / f"{self._number:06d}.{processes.rank():04d}{_ENDING}"
        columns = {
            name: np.concatenate([part[name] for part in self._batches])
            for name in self._batches[0]
        }
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **columns)
        self._number += 1
        self._clear()


def file_stamp(path):
    """Size and time of a file, or None if there is none: reading it will then say so."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _parts(shard):
    """Yields (key, slice of the rows) of each batch of a shard."""
    ends = np.cumsum([0, *shard["sizes"]]).tolist()
    yield from zip(map(bytes, shard["keys"]), map(slice, ends, ends[1:]), strict=False)


def _copy(shard, part, embedded, rows):
    """Copies a part of a shard, a batch, to the rows that it belongs to."""
    embedded.embeddings[rows] = shard["embeddings"][part]
    embedded.levels[rows] = shard["levels"][part]
    if not shard["alignments"].size:
        return
    ends = np.cumsum([0, *shard["num_states"]])
    for source, row in zip(range(part.start, part.stop), rows, strict=True):
        embedded.alignment(row)[:] = shard["alignments"][ends[source] : ends[source + 1]]
