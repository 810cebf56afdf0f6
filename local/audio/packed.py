"""Packed audio, the utterances of a corpus in a few large files: a position to samples.

Each file, a shard, is an Arrow IPC file, which other programs can read too: record batches with the
columns `name` (string) and `samples` (large_list<int16>), all of them mono and at one rate. The
samples of a shard are numbered through all its batches, and an utterance is a range of them.
`local.audio.packing` writes shards, `local.audio.packed_index` finds utterances in them.
"""

import contextlib
import functools
import mmap
import os
import weakref
from bisect import bisect_right

import numpy as np

from local.errors import InputError

EXTENSION = ".arrow"
SHARD_NAMES = f"audio-*{EXTENSION}"
COLUMNS = ("name", "samples")

# Metadata of the schema. Raise the version when older code can't read what is written.
VERSION_KEY, VERSION = b"packed_audio_version", b"1"
RATE_KEY = b"sample_rate"

_SAMPLE = np.dtype("<i2")
# How many shards a process keeps open; most systems allow it 1024 files.
_MAX_OPEN = 512


def make_schema(metadata=None):
    """The Arrow schema of a shard."""
    import pyarrow as pa

    types = zip(COLUMNS, (pa.string(), pa.large_list(pa.int16())), strict=True)
    return pa.schema([pa.field(*column, nullable=False) for column in types], metadata)


class PackedAudio:
    """All samples of a shard, with the methods of `local.audio.opening.Recording` that are used."""

    subtype = "PCM_16"
    channels = 1
    channel = 0

    def __init__(self, shard):
        self.path = shard.path
        self.frames = shard.num_samples
        self.samplerate = shard.sample_rate
        self._shard = shard
        self._position = 0

    @classmethod
    def open(cls, path):
        """The samples of a shard, None for a path with another extension; may raise InputError."""
        path = os.fspath(path)
        return cls(_kept_shard(path)) if path.endswith(EXTENSION) else None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        """The shard stays open, for the next chunk."""

    def seek(self, frame):
        """Moves to a sample."""
        self._position = min(frame, self.frames)

    def buffer_read_into(self, samples, dtype="int16"):
        """Reads the next samples into an int16 array; returns how many, fewer at the end."""
        del dtype  # unlike SoundFile, it does not convert
        num_read = self._shard.read_into(samples[: self.frames - self._position], self._position)
        self._position += num_read
        return num_read


class Shard:
    """An open shard, from which threads and forked processes may read at the same time.

    Raises an InputError if there is none at the path, or it can't be read.
    """

    def __init__(self, path):
        import pyarrow as pa  # here, because the import takes 40 ms

        self.path = os.fspath(path)
        with self._explaining():
            self._file = os.open(self.path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)
            self._map = pa.py_buffer(mmap.mmap(self._file, 0, access=mmap.ACCESS_READ))
            options = pa.ipc.IpcReadOptions(use_threads=False)  # threads don't survive a fork
            self._reader = pa.ipc.open_file(self._map, options=options)
            self.metadata = self._reader.schema.metadata or {}
            self.sample_rate = self._checked_rate()
            self._find_samples()

    def utterances(self):
        """Yields (names, starts, stops) of each batch: lists; starts and stops are positions."""
        for first, batch in zip(self._firsts, self._batches(), strict=False):
            with self._explaining():
                batch.validate(full=True)
                names, samples = (batch.column(name) for name in COLUMNS)
                ends = (samples.offsets.to_numpy() + first).tolist()
            yield names.to_pylist(), ends[:-1], ends[1:]

    def read_into(self, samples, position):
        """Fills an array of int16 with the samples at a position; returns how many there were.

        It doesn't read through the memory map: there, a disk that fails would kill the process
        instead of raising an exception, and all pages read would count as the process's memory.
        """
        num_read = 0
        while num_read < len(samples):
            first = position + num_read
            batch = bisect_right(self._firsts, first) - 1
            part = samples[num_read:][: self._firsts[batch + 1] - first]
            place = self._places[batch] + (first - self._firsts[batch]) * _SAMPLE.itemsize
            try:
                num_bytes = os.preadv(self._file, [part], place)
            except OSError as error:
                raise self._unreadable(error) from error
            num_read += num_bytes // _SAMPLE.itemsize
            if num_bytes < part.nbytes:
                break
        return num_read

    def _checked_rate(self):
        version = self.metadata.get(VERSION_KEY)
        if version is None or not self._reader.schema.equals(make_schema()):
            raise InputError(f"{self.path} is an Arrow file, but not of packed audio")
        if version != VERSION:
            raise InputError(
                f"{self.path} was packed by another version of the recipe ({version.decode()}, "
                f"here it is {VERSION.decode()}): pack again"
            )
        return int(self.metadata[RATE_KEY])

    def _find_samples(self):
        """Notes where each batch has its samples: the byte in the file, and the position."""
        self._places, self._firsts, self.num_utterances = [], [0], 0
        for batch in self._batches():
            values = batch.column("samples").values
            place = values.buffers()[1].address - self._map.address
            if not 0 <= place <= self._map.size - len(values) * _SAMPLE.itemsize:
                raise InputError(f"{self.path} is compressed, not as it was packed")
            self._places.append(place)
            self._firsts.append(self._firsts[-1] + len(values))
            self.num_utterances += len(batch)
        self.num_samples = self._firsts[-1]

    def _batches(self):
        for number in range(self._reader.num_record_batches):
            with self._explaining():
                batch = self._reader.get_batch(number)
            yield batch

    @contextlib.contextmanager
    def _explaining(self):
        import pyarrow as pa

        try:
            yield
        except (OSError, ValueError, LookupError, pa.ArrowException) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error):
        # Some of pyarrow's own errors are an OSError too, but only those of the system have a text.
        if getattr(error, "strerror", None):
            return InputError(f"{self.path} can't be read: {error.strerror}")
        return InputError(f"{self.path} is damaged ({error}): delete it, and pack again")


@functools.lru_cache(_MAX_OPEN)
def _kept_shard(path):
    return Shard(path)
