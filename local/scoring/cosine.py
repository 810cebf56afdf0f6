"""Embeddings and trials to cosines; the arithmetic of rows that all back-ends share."""

import numpy as np

from local.errors import InputError

# A trial by itself (fetch two rows, multiply) costs about this many cells of the matrix of all
# pairs, measured on a CPU at 200 to 400 values an embedding.
CELLS_PER_TRIAL = 25
# They bound the memory in use: 16 MB of the matrix, and rows that stay in the processor's cache.
CELLS_PER_BLOCK = 4_000_000
TRIALS_PER_BLOCK = 1024


def cosine_scores(embeddings, trials):
    """The cosine of the angle between the two embeddings of each trial.

    Arguments
    ---------
    embeddings : array_like
        (num_utterances, num_values), in the order of `trials.utterances`; a tensor on the CPU
        is fine.
    trials : local.lists.trials.Trials

    Returns
    -------
    scores : np.ndarray
        float32 (num_trials,), from -1 to 1 but for rounding.

    Raises
    ------
    ValueError
        If there isn't one embedding for each utterance.
    InputError
        If one is zero or not finite.
    """
    unit = unit_length(np.asarray(embeddings), trials.utterances)
    return dot_scores(unit, unit, trials.enrol, trials.test)


def dot_scores(left, right, enrol, test):
    """The scalar product of two vectors for each trial: float32 (num_trials,).

    Arguments
    ---------
    left, right : np.ndarray
        float32 (num_rows, num_values): the vectors of utterances as enrolment and as test.
    enrol, test : np.ndarray
        int (num_trials,): the row of `left` and that of `right`.
    """
    is_dense = len(enrol) * CELLS_PER_TRIAL > len(left) * len(right)
    score = _scores_by_matrix if is_dense else _scores_by_trial
    return score(left, right, enrol, test)


def unit_length(embeddings, utterances):
    """Embeddings divided by their lengths: float32 (num_utterances, num_values).

    Raises
    ------
    ValueError
        If there isn't one row for each of the names.
    InputError
        If one is zero or not finite.
    """
    if embeddings.ndim != 2 or len(embeddings) != len(utterances):
        raise ValueError(
            f"there must be one embedding for each of {len(utterances)} utterances, "
            f"got an array of shape {embeddings.shape}"
        )
    # In float64 no square of a float32 overflows or vanishes.
    squares = np.einsum("uv,uv->u", embeddings, embeddings, dtype=np.float64)
    lengths = np.sqrt(squares)
    usable = np.isfinite(lengths) & (lengths > 0.0)
    if not usable.all():
        first = int(np.argmin(usable))
        kind = "zero" if lengths[first] == 0.0 else "not finite"
        count = len(usable) - int(np.count_nonzero(usable))
        raise InputError(
            f"the embedding of {utterances[first]} is {kind}; "
            f"{count} of {len(usable)} embeddings can't be scored: has the training gone wrong?"
        )
    return np.divide(embeddings, lengths[:, None], out=np.empty(embeddings.shape, np.float32))


def _scores_by_trial(left, right, enrol, test):
    scores = np.empty(len(enrol), np.float32)
    for first in range(0, len(enrol), TRIALS_PER_BLOCK):
        block = slice(first, first + TRIALS_PER_BLOCK)
        np.einsum("tv,tv->t", left[enrol[block]], right[test[block]], out=scores[block])
    return scores


def _scores_by_matrix(left, right, enrol, test):
    """Computes a block of rows of the matrix of all pairs, takes its trials, and goes on."""
    if (enrol[1:] < enrol[:-1]).any():
        order = np.argsort(enrol, kind="stable")
        scores = np.empty(len(enrol), np.float32)
        scores[order] = _scores_by_matrix(left, right, enrol[order], test[order])
        return scores
    scores = np.empty(len(enrol), np.float32)
    num_rows = max(1, CELLS_PER_BLOCK // len(right))
    for row in range(0, len(left), num_rows):
        # In the type of enrol: numpy would otherwise convert all of it.
        block = slice(*np.searchsorted(enrol, np.array((row, row + num_rows), enrol.dtype)))
        matrix = left[row : row + num_rows] @ right.T
        cells = (enrol[block] - row) * len(right) + test[block]
        # In other modes, numpy goes through a buffer, which is slower.
        matrix.take(cells, out=scores[block], mode="clip")
    return scores


def group_means(values, counts):
    """The mean of each group of rows that follow each other: (num_groups, ...), of their type.

    Arguments
    ---------
    values : np.ndarray
        (sum of counts, ...): the rows of the first group, then those of the second, ...
    counts : np.ndarray
        int (num_groups,), above 0.

    Example
    -------
    >>> group_means(np.array([1.0, 3.0, 5.0]), np.array([2, 1]))
    array([2., 5.])
    """
    if len(values) == len(counts):
        return values
    sums = np.add.reduceat(values, np.cumsum(counts) - counts, axis=0)
    return sums / counts.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
