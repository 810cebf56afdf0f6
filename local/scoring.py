"""Embeddings and trials to scores, and scores to files and back."""

import numpy as np

from local.atomic import replacing
from local.errors import Problems
from local.lists import read_fields

LABELS = {"target": True, "nontarget": False}
# The largest float32, as 9 digits write it.
MAX_SCORE = 3.40282347e38

# A trial by itself (fetch two rows, multiply) costs about this many cells of the matrix of all
# pairs, measured on a CPU at 200 to 400 values an embedding.
CELLS_PER_TRIAL = 25
# Bounds of the memory in use: 16 MB of the matrix; rows that stay in the processor's cache.
CELLS_PER_BLOCK = 4_000_000
TRIALS_PER_BLOCK = 1024


def cosine_scores(embeddings, trials):
    """The cosine of the angle between the two embeddings of each trial.

    Arguments
    ---------
    embeddings : array_like
        (num_utterances, num_values), in the order of `trials.utterances`; a tensor on the CPU
        is fine.
    trials : local.trials.Trials
        utterances, and the indices enrol and test into them, both (num_trials,).

    Returns
    -------
    scores : np.ndarray
        float32 (num_trials,), from -1 to 1 but for rounding.

    Raises
    ------
    ValueError
        If there isn't one embedding for each utterance, or if one is zero or not finite.
    """
    unit = _unit_length(np.asarray(embeddings), trials.utterances)
    dense = len(trials.enrol) * CELLS_PER_TRIAL > len(unit) ** 2
    score = _scores_by_matrix if dense else _scores_by_trial
    return score(unit, trials.enrol, trials.test)


def _unit_length(embeddings, utterances):
    """float32 (num_utterances, num_values), each row of length 1."""
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
        raise ValueError(
            f"the embedding of {utterances[first]} is {kind}; "
            f"{count} of {len(usable)} embeddings can't be scored"
        )
    return np.divide(embeddings, lengths[:, None], out=np.empty(embeddings.shape, np.float32))


def _scores_by_trial(unit, enrol, test):
    scores = np.empty(len(enrol), np.float32)
    for first in range(0, len(enrol), TRIALS_PER_BLOCK):
        block = slice(first, first + TRIALS_PER_BLOCK)
        np.einsum("tv,tv->t", unit[enrol[block]], unit[test[block]], out=scores[block])
    return scores


def _scores_by_matrix(unit, enrol, test):
    """A block of rows of the matrix of all pairs at a time, and out of it the trials it holds."""
    if (enrol[1:] < enrol[:-1]).any():
        order = np.argsort(enrol, kind="stable")
        scores = np.empty(len(enrol), np.float32)
        scores[order] = _scores_by_matrix(unit, enrol[order], test[order])
        return scores
    scores = np.empty(len(enrol), np.float32)
    num_rows = max(1, CELLS_PER_BLOCK // len(unit))
    for row in range(0, len(unit), num_rows):
        # Of the same type: numpy would otherwise convert all of enrol.
        block = slice(*np.searchsorted(enrol, np.array((row, row + num_rows), enrol.dtype)))
        cosines = unit[row : row + num_rows] @ unit.T
        cells = (enrol[block] - row) * len(unit) + test[block]
        # The mode is for speed: with others, numpy goes through a buffer.
        cosines.take(cells, out=scores[block], mode="clip")
    return scores


def write_scores(path, trials, scores):
    """Writes `ENROL TEST target|nontarget SCORE` lines, one for each trial.

    Arguments
    ---------
    path : str or Path
        Gets its name only when the file is complete.
    trials : local.trials.Trials
    scores : array_like
        (num_trials,), written as float32 with the 9 digits that bring back the same number.
    """
    names = trials.utterances
    scores = np.asarray(scores, np.float32)
    rows = zip(trials.enrol, trials.test, trials.is_client, scores, strict=True)
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for enrol, test, is_client, score in rows:
            label = "target" if is_client else "nontarget"
            file.write(f"{names[enrol]} {names[test]} {label} {score:.9g}\n")


def read_scores(path):
    """Reads what `write_scores` writes, and checks every line.

    Arguments
    ---------
    path : str or Path
        Lines of `ENROL TEST target|nontarget SCORE`.

    Returns
    -------
    enrol, test : list of str
        The names of the utterances, (num_trials,) each.
    is_client : np.ndarray
        bool (num_trials,).
    scores : np.ndarray
        float32 (num_trials,).

    Raises
    ------
    InputError
        If the file can't be read, a line is wrong, or one of the classes has no trial.
    """
    problems = Problems()
    enrol, test, is_client, scores = [], [], [], []
    for line, fields in read_fields(path, "ENROL TEST target|nontarget SCORE", problems):
        problem = _problem_with(*fields[2:])
        if problem:
            problems.add(path, line, problem)
            continue
        enrol.append(fields[0])
        test.append(fields[1])
        is_client.append(LABELS[fields[2]])
        scores.append(float(fields[3]))
    if not problems and len(set(is_client)) == 1:
        label = "target" if is_client[0] else "nontarget"
        problems.add(path, None, f"has only {label} trials: both classes are needed")
    problems.raise_if_any()
    return enrol, test, np.array(is_client), np.array(scores, np.float32)


def _problem_with(label, score):
    """What is wrong with these fields of a line, or None."""
    if label not in LABELS:
        return f"label '{label}' is neither 'target' nor 'nontarget'"
    try:
        # False for NaN, too.
        if abs(float(score)) <= MAX_SCORE:
            return None
    except ValueError:
        pass
    return f"score '{score}' is not a finite number"
