"""Trials and scores to files, and back: a line for each trial, millions of lines a second."""

from array import array
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from local.atomic import replacing
from local.errors import Problems
from local.lists.columns import first_fields, read_columns, trials_of
from local.lists.fields import read_fields
from local.lists.trials import TrialTable

LAYOUT = "ENROL TEST target|nontarget SCORE [CONDITION]"
LABELS = {"nontarget": False, "target": True}
# From here on, numbers are infinite as float32.
TOO_LARGE = 2.0**128 - 2.0**103

# It bounds the memory in use; larger blocks are no faster.
TRIALS_PER_BLOCK = 100_000

_COLUMNS = ["enrol", "test", "label", "score", "condition"]


def write_scores(path, trials, scores):
    """Writes a `ENROL TEST target|nontarget SCORE` line for each trial, whole or not at all.

    The condition of a trial, if it has one, is a fifth field.

    Arguments
    ---------
    path : str or Path
    trials : local.lists.trials.Trials
    scores : array_like
        (num_trials,), written as float32 with the fewest digits that bring back the same number.

    Raises
    ------
    ValueError
        If there isn't one score for each trial, or if one is not finite.
    InputError
        If the file can't be written.

    Example
    -------
    >>> import pathlib, tempfile
    >>> from local.lists.trials import Trials
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "scores.txt"
    >>> sides = np.array([0, 0]), np.array([1, 2])
    >>> trials = Trials(["anna/1", "anna/2", "bert/1"], *sides, np.array([True, False]), [])
    >>> write_scores(path, trials, [0.75, -0.1])
    >>> path.read_text().splitlines()
    ['anna/1 anna/2 target 0.75', 'anna/1 bert/1 nontarget -0.1']
    """
    with np.errstate(over="ignore"):
        scores = np.asarray(scores, np.float32)
    _check_scores(scores, len(trials))
    utterances, labels, conditions = (
        pa.array(names, pa.string())
        for names in (trials.utterances, list(LABELS), trials.condition_names)
    )
    with replacing(path) as temporary, open(temporary, "wb") as file:
        for first in range(0, len(trials), TRIALS_PER_BLOCK):
            block = slice(first, first + TRIALS_PER_BLOCK)
            fields = [
                utterances.take(pa.array(trials.enrol[block])),
                utterances.take(pa.array(trials.test[block])),
                labels.take(pa.array(trials.is_client[block].view(np.int8))),
                pa.array(scores[block]).cast(pa.string()),
            ]
            if trials.condition is not None:
                fields.append(conditions.take(pa.array(trials.condition[block])))
            file.write(_lines(fields))


def _check_scores(scores, num_trials):
    if scores.shape != (num_trials,):
        raise ValueError(
            f"there must be one score for each of {num_trials} trials, "
            f"got an array of shape {scores.shape}"
        )
    is_finite = np.isfinite(scores)
    if not is_finite.all():
        first = int(np.argmin(is_finite))
        raise ValueError(f"the score of trial {first + 1} is {scores[first]}, which is not finite")


def _lines(fields):
    """Columns of text as lines: a buffer of bytes."""
    # csv.CSVWriter is no faster, and refuses quotation marks in names.
    lines = pc.binary_join_element_wise(*fields, " ")
    _, _, characters = pc.binary_join_element_wise(lines, "", "\n").buffers()
    return characters


def read_scores(path):
    """Reads what `write_scores` writes, and checks every line.

    As in all lists, other blanks, line ends and empty lines are fine, but slower.

    Returns
    -------
    trials : local.lists.trials.Trials
        In the order of the file; its `places` are empty.
    scores : np.ndarray
        float32 (num_trials,)

    Raises
    ------
    InputError
        If the file can't be read, a line is wrong, one of the classes has no trial, or trials
        contradict each other, as in `local.lists.trials.read_trials`.
    """
    return _read_at_once(path) or _read_line_by_line(path)


def _read_line_by_line(path):
    """Reads any blanks and line ends, and finds all problems."""
    problems = Problems()
    table, scores = TrialTable({True: path, False: path}), array("d")
    for line, (enrol, test, label, score, *condition) in read_fields(path, LAYOUT, problems):
        problem = _problem_with(label, score)
        if problem:
            problems.add(path, line, problem)
            continue
        table.add(line, LABELS[label], enrol, test, *condition)
        scores.append(float(score))
    trials = replace(table.checked(problems), places=[])
    # From text to the nearest float32: rounded to float64 first, 7.038531e-26 would change.
    scores = pa.array(map(repr, scores), pa.string()).cast(pa.float32()).to_numpy()
    return trials, scores


def _problem_with(label, score):
    """What is wrong with these fields of a line, or None."""
    if label not in LABELS:
        return f"label '{label}' is neither 'target' nor 'nontarget'"
    try:
        # False for NaN, too.
        if abs(float(score)) < TOO_LARGE:
            return None
    except ValueError:
        pass
    return f"score '{score}' is not a finite number"


def _read_at_once(path):
    """The same trials and scores; None if anything about the file is unusual."""
    table = read_columns(path, _COLUMNS[: len(first_fields(path, LAYOUT))])
    if table is None:
        return None
    trials, scores = trials_of(table, LABELS), table["score"].to_numpy()
    # A missing score is NaN here.
    return (trials, scores) if trials is not None and np.isfinite(scores).all() else None
