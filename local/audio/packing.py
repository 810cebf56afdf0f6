"""Recordings to packed audio (see `local.audio.packed`), so that training need not decode them."""

import hashlib
import os
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from local.atomic import lock_folder, replacing
from local.audio.packed import RATE_KEY, SHARD_NAMES, VERSION, VERSION_KEY, Shard, make_schema
from local.audio.reading import read_audio
from local.audio.table import examine_audio
from local.errors import InputError

# The key of a digest of what a shard was made of: a shard whose sources are the same is kept.
SOURCES_KEY = b"sources"
SHARD_SAMPLES = 500_000_000
# Samples of a record batch, which is in memory twice while it is put together.
BATCH_SAMPLES = 32_000_000


class Source(NamedTuple):
    """An utterance to pack under a name: what is read of its recording, and its later length."""

    name: str
    place: tuple
    path: str
    size: int
    mtime_ns: int
    start: int
    stop: int
    channel: int
    num_samples: int


class Packed(NamedTuple):
    """The paths of the shards; how many utterances they have; how many shards there were before."""

    paths: list
    num_utterances: int
    num_kept: int


def pack_audio(
    recordings,
    data_dir,
    out_dir,
    problems,
    sample_rate=16000,
    shard_samples=SHARD_SAMPLES,
    num_workers=None,
    progress=True,
):
    """Packs recordings. Shards whose recordings have not changed since they were written are kept.

    Arguments
    ---------
    recordings : local.lists.file_lists.Recordings
        Their IDs become the names of the utterances.
    data_dir : str or Path
        The directory that the names of recordings are relative to.
    out_dir : str or Path
        The folder of the shards, made if it is missing.
    problems : local.errors.Problems
        Gets what is wrong with single recordings, which are left out.
    sample_rate : int
        Of the packed audio, in Hz.
    shard_samples : int
        The most samples of a shard, unless a single recording has more.
    num_workers : int or None
        Threads that decode; None: one for each core.
    progress : bool
        Whether to show progress bars.

    Returns a Packed.

    Raises
    ------
    InputError
        If `out_dir` can't be written, if another process is packing there, or if it has a damaged
        shard or utterances that would be lost.
    """
    out_dir = Path(out_dir)
    lock_folder(out_dir)
    sources = _find_sources(recordings, data_dir, out_dir, problems, sample_rate, progress)
    _refuse_to_lose(out_dir, {source.name for source in sources})
    shards = list(_grouped(sources, shard_samples))
    paths = [out_dir / SHARD_NAMES.replace("*", f"{number:05d}") for number in range(len(shards))]
    bar = tqdm(desc="packing", total=len(sources), unit=" files", disable=not progress)
    num_utterances = num_kept = 0

    def decode(group):
        outcomes = pool.map(partial(_read, sample_rate=sample_rate), group)
        bar.update(len(group))
        return outcomes

    with bar, ThreadPool(num_workers or len(os.sched_getaffinity(0))) as pool:
        for path, shard in zip(paths, shards, strict=True):
            metadata = _describe(shard, sample_rate)
            if _is_finished(path, metadata, len(shard)):
                num_kept += 1
                num_utterances += len(shard)
                bar.update(len(shard))
            else:
                num_utterances += _write_shard(path, shard, metadata, decode, problems)
    for path in set(out_dir.glob(SHARD_NAMES)) - set(paths):
        path.unlink()
    return Packed(paths, num_utterances, num_kept)


def _find_sources(recordings, data_dir, out_dir, problems, sample_rate, progress):
    """The Source of each recording that is there and sound, in order."""
    if not os.path.isdir(data_dir):
        raise InputError(f"{data_dir}: there is no such data directory")
    ids, names, places = recordings
    table = out_dir / ".audio.npz"
    audios = examine_audio(names, os.path.realpath(data_dir), table, progress)
    sources = []
    for name, place, audio in zip(ids, places, audios, strict=True):
        if audio.problem:
            problems.add(*place, audio.problem)
        else:
            length = -(-audio.info.num_samples * sample_rate // audio.info.sample_rate)
            read = audio.start, audio.start + audio.info.num_samples, audio.channel
            sources.append(Source(name, place, *audio[:3], *read, length))
    return sources


def _refuse_to_lose(out_dir, names):
    """Raises an InputError for utterances that would go: their recordings may be gone already."""
    there = (Shard(path).utterances() for path in out_dir.glob(SHARD_NAMES))
    lost = sorted({name for blocks in there for block in blocks for name in block[0]} - names)
    if lost:
        raise InputError(
            f"{out_dir} has {len(lost)} utterances that this command doesn't pack, such as "
            f"'{lost[0]}': give another --out_dir, or delete {SHARD_NAMES} there first"
        )


def _grouped(sources, max_samples):
    """Yields lists of consecutive sources of at most `max_samples` together, or of one source."""
    group, length = [], 0
    for source in sources:
        if group and length + source.num_samples > max_samples:
            yield group
            group, length = [], 0
        group.append(source)
        length += source.num_samples
    if group:
        yield group


def _describe(sources, sample_rate):
    """The metadata of a shard."""
    facts = [(source.name, source.size, source.mtime_ns) for source in sources]
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()
    rate = str(sample_rate).encode()
    return {VERSION_KEY: VERSION, RATE_KEY: rate, SOURCES_KEY: digest.encode()}


def _is_finished(path, metadata, num_utterances):
    """Whether a shard is there and whole, with all utterances of the same files."""
    try:
        shard = Shard(path)
    except InputError:
        return False
    return shard.metadata == metadata and shard.num_utterances == num_utterances


def _write_shard(path, sources, metadata, decode, problems):
    """Writes the sources that can be read; returns how many they are."""
    num_written = 0
    with replacing(path) as temporary:
        with pa.ipc.new_file(str(temporary), make_schema(metadata)) as file:
            for group in _grouped(sources, BATCH_SAMPLES):
                names, samples = [], []
                for source, outcome in zip(group, decode(group), strict=True):
                    if isinstance(outcome, str):
                        problems.add(*source.place, outcome)
                    else:
                        names.append(source.name)
                        samples.append(outcome)
                if names:
                    file.write_batch(_as_batch(names, samples))
                num_written += len(names)
    return num_written


def _read(source, sample_rate):
    """The samples, or the message of what is wrong."""
    try:
        return read_audio(source.path, source.start, source.stop, sample_rate, source.channel)
    except (InputError, OSError) as error:
        return str(error)


def _as_batch(names, samples):
    offsets = np.cumsum([0, *map(len, samples)])
    lists = pa.LargeListArray.from_arrays(offsets, pa.array(np.concatenate(samples)))
    return pa.record_batch([pa.array(names, pa.string()), lists], make_schema())
