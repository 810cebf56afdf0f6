"""A manifest to a smaller one, of the cohort: other speakers, to compare scores with."""

import logging
import os

import numpy as np

from local.data.manifest_files import read_manifest, write_manifest
from local.errors import Problems

logger = logging.getLogger(__name__)


def choose_cohort(manifest_path, cohort_path, size=None, seed=0):
    """Writes a manifest of utterances of another one, spread over its speakers.

    Arguments
    ---------
    manifest_path : str or Path
        That of the training data.
    cohort_path : str or Path
        Gets the rows that `spread` draws.
    size : int, optional
        The highest number of utterances.
    seed : int

    Raises
    ------
    InputError
        If the manifest can't be read, is empty, names no speakers, or audio in the cohort is
        missing.
    """
    speakers = [row["spk_id"] for row in read_manifest(manifest_path)]
    indices = set(spread(speakers, size, seed))
    rows = [row for index, row in enumerate(read_manifest(manifest_path)) if index in indices]
    problems = Problems()
    if not rows:
        problems.add(manifest_path, None, "has no utterances")
    for row in rows:
        if not row["spk_id"]:
            problems.add(manifest_path, None, f"has no speaker for '{row['ID']}'")
        elif not os.path.exists(row["wav"]):
            problems.add(manifest_path, None, f"{row['wav']} is in the cohort, but not there")
    problems.raise_if_any()
    write_manifest(cohort_path, rows)
    logger.info("%s: %d of %d utterances as a cohort", cohort_path, len(rows), len(speakers))


def spread(speakers, size=None, seed=0):
    """Ascending indices of utterances, drawn in turns: one of each speaker, then a second one, ...

    Arguments
    ---------
    speakers : sequence of str
        Of each utterance.
    size : int, optional
        The highest number of indices.
    seed : int

    Example
    -------
    >>> indices = spread(["a", "a", "a", "b", "c", "c"], size=3)
    >>> ["aaabcc"[index] for index in indices]
    ['a', 'b', 'c']
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(speakers))
    drawn, turns = {}, np.empty(len(speakers), np.int64)
    for index in order:
        turns[index] = drawn[speakers[index]] = drawn.get(speakers[index], -1) + 1
    by_turn = order[np.argsort(turns[order], kind="stable")]
    return sorted(by_turn[:size].tolist())
