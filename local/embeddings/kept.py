"""A model and a manifest to embeddings, which are kept on the way: what is interrupted goes on.

Those that are worth more than one run are kept in a `local.embeddings.store`.
"""

import logging
from collections import ChainMap
from typing import NamedTuple

import numpy as np
import torch

from local.data.manifest_files import read_manifest, write_manifest
from local.embeddings.embed import (
    WholeUtterances,
    batch_loader,
    batches_by_length,
    embed_batches,
)
from local.embeddings.levels import CLIPPED, CONSTANT, DESCRIPTIONS, QUIET, warn_of_levels
from local.embeddings.shards import Embedded, Shards, Writer, digests
from local.embeddings.store import Store
from local.errors import Problems
from local.machine import processes, runtime

logger = logging.getLogger(__name__)


class Computation(NamedTuple):
    """How embeddings are computed: the settings of these names, and the device."""

    device: str
    precision: str
    batch_seconds: float
    num_workers: int | None
    progress: bool


def embed_kept(model, manifest_path, folder, computation, layer="embedding", recorder=None):
    """Embeds a manifest, shared out among the processes; what a folder has of it is taken from it.

    After a kill, the same call goes on, and its result is the same to the last bit. A recording
    that can't be read doesn't end the work.

    Arguments
    ---------
    model : dict
        From `local.model_files.model_dir.load_model`.
    manifest_path : Path
    folder : Path
        Of shards, on a disk that all processes share, and of no other run.
    computation : Computation
    layer : str
        That the model's extractor has been cut after.
    recorder : object, optional
        Its `last()` gives the attention weights of the last batch: float32 (states, heads) each.

    Returns
    -------
    embedded : local.embeddings.shards.Embedded or None
        In the first process; None in the others.
    """
    processes.check_shared(manifest_path)
    device = computation.device
    precision = runtime.precision(computation.precision, device)
    kind = torch.__version__, torch.device(device).type, precision, layer, bool(recorder)
    shards = Shards(folder, (*digests(model["path"], model["definition"]), *kind))
    dataset = WholeUtterances(manifest_path, model["sample_rate"], keep_going=True)
    batches = batches_by_length(dataset.durations(), computation.batch_seconds)
    keys, missing, number = processes.on_first(lambda: shards.find(dataset.rows, batches))
    if len(missing) < len(batches) and processes.rank() == 0:
        num_missing = sum(len(batches[index]) for index in missing)
        logger.info(f"{folder}: goes on, with {num_missing:,} of {len(dataset):,} recordings")
    num_workers = runtime.num_reading_workers(computation.num_workers, device)
    missing_batches = [batches[index] for index in missing]
    loader = batch_loader(dataset, missing_batches, num_workers, device)
    stream = embed_batches(
        model["features"], model["extractor"], loader, device, precision, computation.progress
    )
    failures = _write_shards(stream, Writer(shards.folder, number), keys, batches, recorder)
    processes.wait_for_all()
    failures = processes.gather(failures)
    if failures is None:
        return None
    return shards.join(keys, batches, dict(ChainMap(*failures)))


def _write_shards(stream, writer, keys, batches, recorder):
    """Writes what `embed_batches` yields; returns what failed, row -> what is wrong."""
    batch_of = np.empty(sum(map(len, batches)), np.int64)
    for index, rows in enumerate(batches):
        batch_of[rows] = index
    failures = {}
    try:
        for batch, embeddings in stream:
            failures.update(batch.failures)
            if batch.indices:
                index = batch_of[batch.indices[0]]
                alignments = recorder.last() if recorder else []
                writer.add(keys[index], batches[index], batch, embeddings.numpy(), alignments)
    finally:
        writer.flush()
    return failures


def embed_missing(model, manifest_path, folder, computation, store_dir):
    """Does what `embed_kept` does, for all that a folder of a Store lacks, and keeps it there."""
    store = Store(store_dir, model, runtime.precision(computation.precision, computation.device))
    missing_path, found = folder / "missing.csv", None

    def find():
        nonlocal found
        found = store.find(WholeUtterances(manifest_path, model["sample_rate"]).rows)
        num_found, num_rows = np.count_nonzero(found.is_there), len(found.keys)
        logger.info(f"{store.folder}: has {num_found:,} of {num_rows:,} embeddings")
        if num_found < num_rows:
            store.check()  # now, as after the work it would be late
            rows = zip(read_manifest(manifest_path), found.is_there, strict=True)
            write_manifest(missing_path, (row for row, is_there in rows if not is_there))
        return num_found < num_rows

    failures = {}
    if processes.on_first(find):
        new = embed_kept(model, missing_path, folder, computation)

        def add():
            nonlocal found, failures
            found, failures = store.add(found, new)

        processes.on_first(add)
    if found is None:
        return None
    nothing = np.zeros((0, 0), np.float32)
    return Embedded(found.embeddings, found.levels, nothing, np.zeros(1, int), failures)


def embed_or_raise(model, manifest_path, folder, computation, places=None, store_dir=None):
    """The embeddings of a manifest as an array, in the first process; None in the others.

    The other arguments are as for `embed_kept`.

    Arguments
    ---------
    places : list of tuple, optional
        (path, line) where each recording is mentioned. Without it, recordings may be silent: a crop
        may be a pause, and silent recordings are trained on, too.
    store_dir : Path, optional
        Where embeddings are kept for later runs.

    Raises
    ------
    InputError
        With all recordings that can't be used.
    """
    arguments = model, manifest_path, folder, computation
    embedded = embed_missing(*arguments, store_dir) if store_dir else embed_kept(*arguments)

    def check():
        problems = Problems()
        for row, problem in failures_of(embedded, manifest_path, places is None).items():
            problems.add(*(places[row] if places else (manifest_path, None)), problem)
        problems.raise_if_any()

    processes.on_first(check)
    return None if embedded is None else embedded.embeddings


def failures_of(embedded, manifest_path, may_be_silent=False):
    """What failed, row -> what is wrong, in order; warns of recordings whose level is doubtful.

    `may_be_silent` says whether digital silence is only doubtful, and no failure.
    """
    rows = list(read_manifest(manifest_path))
    kinds = (CONSTANT, QUIET, CLIPPED) if may_be_silent else (QUIET, CLIPPED)
    warn_of_levels(embedded.levels, [row["ID"] for row in rows], kinds)
    failures = dict(embedded.failures)
    for row in np.flatnonzero(embedded.levels == CONSTANT).tolist() if not may_be_silent else ():
        failures[row] = f"{rows[row]['wav']} is {DESCRIPTIONS[CONSTANT]}"
    return dict(sorted(failures.items()))
