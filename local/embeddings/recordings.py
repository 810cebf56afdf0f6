"""Some recordings to embeddings in memory, each with what speaks against trusting its scores."""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from local.data.manifest_files import read_manifest
from local.data.manifests import prepare_recordings
from local.embeddings.embed import (
    WholeUtterances,
    batch_loader,
    batches_by_length,
    embed_batches,
)
from local.embeddings.levels import CONSTANT, DESCRIPTIONS, FINE
from local.errors import MAX_SHOWN

# Of speech; below it, verification makes many more errors.
SHORT_SECONDS = 2.0
# A bar for fewer is gone before it is read.
MIN_WITH_PROGRESS = 100


class EmbeddedRecordings(NamedTuple):
    """Those recordings that could be embedded, in the order in which they were given."""

    names: list  # the paths, as they were given
    embeddings: np.ndarray  # float32 (num_recordings, embedding_size)
    seconds: list  # of speech, as an energy-based voice activity detector finds it
    cautions: list  # of a list of str for each: why its scores are less sure than others

    def caution_lines(self):
        """The cautions as text, with names; of many only the first."""
        pairs = zip(self.names, self.cautions, strict=True)
        lines = [f"Caution: {name} {why}" for name, reasons in pairs for why in reasons]
        rest = [f"... and {len(lines) - MAX_SHOWN} more such cautions"] * (len(lines) > MAX_SHOWN)
        return lines[:MAX_SHOWN] + rest


def embed_recordings(model, paths, device, problems, batch_seconds=60.0):
    """Embeds recordings of any length, rate and number of channels, each once.

    The embeddings are those of verification with the same `batch_seconds`.

    Arguments
    ---------
    model : dict
        From `local.model_files.model_dir.load_model`; its extractor is folded here.
    paths : list of str
        Of recordings or their parts, as in lists: `call.wav`, `anna/1`, `call.wav#t=1.5,4`.
    device : str
    problems : local.errors.Problems
        Gets what is wrong with those that are left out: can't be read, silence, given twice.
    batch_seconds : float
        Of audio embedded at once.

    Returns
    -------
    embedded : EmbeddedRecordings
    """
    dataset, names = _found(paths, model["sample_rate"], problems)
    features, extractor = model["features"], model["extractor"].fold()
    loader = batch_loader(dataset, batches_by_length(dataset.durations(), batch_seconds))
    found = {}
    progress = len(names) >= MIN_WITH_PROGRESS
    for batch, rows in embed_batches(features, extractor, loader, device, "fp32", progress):
        for row, problem in batch.failures:
            problems.add(names[row], None, problem)
        seconds = _speech_seconds(model, batch, device) if batch.indices else []
        for values in zip(batch.indices, rows.numpy(), seconds, batch.levels, strict=True):
            found[values[0]] = values[1:]
    for row, (*_, level) in list(found.items()):
        if level == CONSTANT:
            problems.add(names[row], None, f"is {DESCRIPTIONS[level]}")
            del found[row]
    kept = sorted(found)
    embeddings, seconds, levels = zip(*map(found.get, kept), strict=True) if kept else ([],) * 3
    cautions = [_cautions(*facts) for facts in zip(seconds, levels, strict=True)]
    return EmbeddedRecordings(
        [names[row] for row in kept], np.array(embeddings), list(seconds), cautions
    )


def embed_named(model, recordings, data_dir, device, problems):
    """Does what `embed_recordings` does for what `local.lists.file_lists.find_recordings` found.

    Paths are looked up in `data_dir`. Returns EmbeddedRecordings with their IDs as names.
    """
    paths = [os.path.join(data_dir, name) for name in recordings.names]
    id_of = dict(zip(reversed(paths), reversed(recordings.ids), strict=True))
    embedded = embed_recordings(model, paths, device, problems)
    return embedded._replace(names=[id_of[path] for path in embedded.names])


def _found(paths, sample_rate, problems):
    """The WholeUtterances of what is sound and given for the first time, and their paths."""
    absolute = {}
    for path in paths:
        real = os.path.realpath(path)
        if real in absolute:
            problems.add(path, None, "is given twice")
        else:
            absolute[real] = path
    names = list(absolute.values())
    places = [(name, None) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "recordings.csv"
        recordings = names, list(absolute), places
        prepare_recordings(recordings, "/", manifest, problems, sample_rate, progress=False)
        names = [row["ID"] for row in read_manifest(manifest)]
        return WholeUtterances(manifest, sample_rate, keep_going=True), names


def _speech_seconds(model, batch, device):
    features = model["features"]
    num_frames = features.num_loud_frames(batch.waveforms.to(device), batch.lengths.to(device))
    return (num_frames * features.hop / model["sample_rate"]).tolist()


def _cautions(seconds, level):
    found = [] if level == FINE else [f"is {DESCRIPTIONS[level]}"]
    if seconds < SHORT_SECONDS:
        found.append(
            f"has {seconds:.2f} s of speech: with less than {SHORT_SECONDS:g} s, scores are much "
            "less sure"
        )
    return found
