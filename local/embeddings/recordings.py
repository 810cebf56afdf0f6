"""Recordings that a user names to their embeddings, without files that stay."""

import tempfile
from pathlib import Path

import numpy as np

from local.data.manifest_files import read_manifest
from local.data.manifests import prepare_recordings
from local.embeddings.kept import embed_kept, failures_of

# A bar for fewer is gone before it is read.
MIN_WITH_PROGRESS = 100


def embed_recordings(model, recordings, data_dir, computation, problems):
    """Embeds recordings, and goes on without those that can't be used.

    Arguments
    ---------
    model : dict
        From `local.model_files.model_dir.load_model`; folded here.
    recordings : local.lists.file_lists.Recordings
    data_dir : str or Path
        Where the paths of lists are looked up.
    computation : local.embeddings.kept.Computation
        A bar shows the progress of many recordings only.
    problems : local.errors.Problems
        Gets what is wrong with the others: missing, damaged, empty, or digital silence.

    Returns
    -------
    ids : list of str
        Of those that are embedded, in their order.
    embeddings : np.ndarray
        float32 (len(ids), embedding_size); of no width if there are none.
    """
    model["extractor"].fold()
    progress = computation.progress and len(recordings.ids) >= MIN_WITH_PROGRESS
    computation = computation._replace(progress=progress)
    with tempfile.TemporaryDirectory() as name:
        path, rate = Path(name) / "recordings.csv", model["sample_rate"]
        manifest = prepare_recordings(recordings, data_dir, path, problems, rate, progress)
        if not manifest.num_utterances:
            return [], np.zeros((0, 0), np.float32)
        embedded = embed_kept(model, path, Path(name), computation)
        ids = [row["ID"] for row in read_manifest(path)]
        places = dict(zip(recordings.ids, recordings.places, strict=True))
        failures = failures_of(embedded, path)
        for row, problem in failures.items():
            problems.add(*places[ids[row]], problem)
    sound = [row for row in range(len(ids)) if row not in failures]
    return [ids[row] for row in sound], np.array(embedded.embeddings[sound])
