"""Scores to normalised scores: how they compare with scores against a cohort of other speakers.

Some embeddings are near to everybody's. With the mean and deviation of the scores of each side
against a cohort, z-norm and t-norm standardise a score as seen from the one side, s-norm takes the
mean of both, and the adaptive s-norm does so with the cohort's nearest members only: Matejka et
al., "Analysis of score normalization in multilingual speaker recognition", Interspeech 2017.
"""

from typing import NamedTuple

import numpy as np

from local.errors import InputError

# 16 MB of the matrix of scores against the cohort are in memory.
CELLS_PER_BLOCK = 4_000_000
# A smaller deviation, as a share of the mean, is rounding of equal scores in float32.
SMALLEST_DEVIATION = 1e-6
KINDS = ("none", "z", "t", "s", "as")


class CohortStatistics(NamedTuple):
    """Of each row's scores against the cohort: both float32 (num_rows,)."""

    mean: np.ndarray
    deviation: np.ndarray


def cohort_statistics(vectors, cohort, top_n=None):
    """The CohortStatistics of rows: each is scored against all of the cohort, in blocks.

    Arguments
    ---------
    vectors : np.ndarray
        float32 (num_rows, num_values)
    cohort : np.ndarray
        float32 (cohort_size, num_values), whose scalar products with `vectors` are the scores.
    top_n : int, optional
        Only this number of highest scores of each row is taken.

    Raises
    ------
    InputError
        If a deviation is 0 but for rounding: the cohort has only one embedding, or equal ones.

    Example
    -------
    >>> cohort = np.array([[1.0], [2.0], [6.0]], np.float32)
    >>> cohort_statistics(np.ones((1, 1), np.float32), cohort, top_n=2).mean
    array([4.], dtype=float32)
    """
    size = len(cohort)
    first = size - min(top_n or size, size)
    mean, deviation = np.empty((2, len(vectors)), np.float32)
    rows_per_block = max(1, CELLS_PER_BLOCK // size)
    for row in range(0, len(vectors), rows_per_block):
        block = slice(row, row + rows_per_block)
        scores = vectors[block] @ cohort.T
        if first:
            scores.partition(first, axis=1)
        top = scores[:, first:]
        mean[block], deviation[block] = top.mean(axis=1), top.std(axis=1)
    if not (deviation > SMALLEST_DEVIATION * np.abs(mean)).all():
        raise InputError("all scores against the cohort are the same: it needs more speakers")
    return CohortStatistics(mean, deviation)


def normalise(scores, trials, kind, statistics):
    """Normalised scores: float32 (num_trials,).

    Arguments
    ---------
    scores : np.ndarray
        float32 (num_trials,)
    trials : local.lists.trials.Trials
    kind : str
        "z" (as seen from the enrolment), "t" (from the test), "s" or "as" (the mean of both; they
        differ in their statistics).
    statistics : CohortStatistics
        Of each of `trials.utterances`.

    Example
    -------
    >>> from local.lists.trials import Trials
    >>> trials = Trials(["a", "b"], *np.array([[0], [1]]), np.array([True]), [])
    >>> statistics = CohortStatistics(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    >>> normalise(np.array([3.0]), trials, "s", statistics)
    array([2.])
    """
    sides = {"z": [trials.enrol], "t": [trials.test]}.get(kind, [trials.enrol, trials.test])
    return sum((scores - statistics.mean[s]) / statistics.deviation[s] for s in sides) / len(sides)
