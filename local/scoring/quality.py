"""Quality measures of utterances: what, besides the score, says how far a trial can be trusted."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from local.atomic import replacing
from local.errors import InputError, Problems
from local.lists.fields import read_fields

HEADER = "utterance seconds cohort_mean"
# In place of the mean score, where there was no cohort.
NO_COHORT = "-"


class Measure(NamedTuple):
    """A quality measure as the calibration sees it, the same when the two sides are swapped.

    Arguments
    ---------
    column : str
        Of the quality file.
    inputs : tuple of str
        What the lower and the higher value of the two sides are called.
    scale : callable
        What the values of the column go through.
    """

    column: str
    inputs: tuple
    scale: Callable


MEASURES = {
    "log_seconds": Measure("seconds", ("log_seconds_shorter", "log_seconds_longer"), np.log),
    "cohort_mean": Measure("cohort_mean", ("cohort_mean_lower", "cohort_mean_higher"), np.array),
}


def checked_measures(names):
    """The names of quality measures as a tuple; one name by itself and None are fine.

    Raises
    ------
    InputError
        If a name is unknown or repeated.

    Example
    -------
    >>> checked_measures("log_seconds"), checked_measures(None)
    (('log_seconds',), ())
    """
    names = (names,) if isinstance(names, str) else tuple(names or ())
    for name in names:
        if name not in MEASURES:
            raise InputError(
                f"quality: '{name}' is no quality measure; there are {', '.join(MEASURES)}"
            )
    if len(set(names)) < len(names):
        raise InputError(f"quality: a measure is there twice: {', '.join(names)}")
    return names


def input_names(names):
    """What the columns of `trial_inputs` are called.

    Example
    -------
    >>> input_names(["log_seconds"])
    ['score', 'log_seconds_shorter', 'log_seconds_longer']
    """
    return ["score", *(name for measure in names for name in MEASURES[measure].inputs)]


def trial_inputs(names, trials, scores, quality):
    """What the calibration weighs: for each trial its score, and two numbers for each measure.

    Arguments
    ---------
    names : sequence of str
        Of the quality measures: any of `MEASURES`.
    trials : local.lists.trials.Trials
    scores : array_like
        (num_trials,)
    quality : dict or None
        From `read_quality`, in the order of `trials.utterances`. None if there are no names.

    Returns
    -------
    inputs : np.ndarray
        float64 (num_trials, num_inputs), the columns being `input_names`.

    Raises
    ------
    InputError
        If `quality` lacks a measure.

    Example
    -------
    >>> from local.lists.trials import Trials
    >>> trials = Trials(["a", "b"], np.array([0]), np.array([1]), np.array([True]), [])
    >>> quality = {"seconds": np.array([4.0, 1.0])}
    >>> trial_inputs(["log_seconds"], trials, [0.5], quality).round(3).tolist()
    [[0.5, 0.0, 1.386]]
    """
    inputs = np.empty((len(trials), len(input_names(names))))
    inputs[:, 0] = scores
    for index, name in enumerate(names):
        values = MEASURES[name].scale(_values_of(quality, name))
        sides = values[trials.enrol], values[trials.test]
        inputs[:, 2 * index + 1] = np.minimum(*sides)
        inputs[:, 2 * index + 2] = np.maximum(*sides)
    return inputs


def _values_of(quality, name):
    column = MEASURES[name].column
    if quality and column in quality:
        return quality[column]
    what_to_do = {
        "seconds": "it needs the quality.txt that verification writes beside scores.txt",
        "cohort_mean": "it needs a quality.txt of a verification with a cohort (s-norm)",
    }
    raise InputError(f"quality: {name} is not known of these trials: {what_to_do[column]}")


def write_quality(path, utterances, seconds, cohort_means=None):
    """Writes a line of column names and `UTTERANCE SECONDS COHORT_MEAN` for each utterance.

    Arguments
    ---------
    path : str or Path
        Gets its name only when the file is complete.
    utterances : sequence of str
        Or models that several utterances enrol.
    seconds : array_like
        (num_utterances,), above 0.
    cohort_means : array_like, optional
        (num_utterances,): the mean score against the cohort, or against those of it that
        normalise; - is written if there was no cohort.
    """
    if cohort_means is None:
        means = [NO_COHORT] * len(utterances)
    else:
        means = [f"{mean:.9g}" for mean in cohort_means]
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(f"{HEADER}\n")
        for name, length, mean in zip(utterances, seconds, means, strict=True):
            file.write(f"{name} {length:.9g} {mean}\n")


def read_quality(path, utterances):
    """Reads what `write_quality` writes, and checks every line.

    Arguments
    ---------
    path : str or Path
    utterances : sequence of str
        The file may have others, too.

    Returns
    -------
    quality : dict
        "seconds" and, if the file has it, "cohort_mean" -> float64 (num_utterances,), in the order
        of `utterances`.

    Raises
    ------
    InputError
        If the file can't be read, a line is wrong, or an utterance has none.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; recipes/verify.py writes it beside scores.txt")
    problems = Problems()
    rows = {}
    for line, fields in read_fields(path, HEADER.upper(), problems):
        if not rows and " ".join(fields) == HEADER:
            continue
        problem = _problem_with(rows, *fields)
        if problem:
            problems.add(path, line, problem)
        else:
            rows[fields[0]] = fields[1:]
    if not problems:
        _check_all_there(rows, utterances, path, problems)
    problems.raise_if_any()
    return _columns([rows[name] for name in utterances])


def _problem_with(rows, name, seconds, mean):
    """What is wrong with the fields of a line, or None."""
    if name in rows:
        return f"'{name}' is there twice"
    if not 0.0 < _number(seconds) < math.inf:
        return f"seconds '{seconds}' is not a number above 0"
    if mean != NO_COHORT and not math.isfinite(_number(mean)):
        return f"cohort_mean '{mean}' is not a finite number"
    if rows and (mean == NO_COHORT) != (next(iter(rows.values()))[1] == NO_COHORT):
        return "cohort_mean must be a number on all lines, or - on all"
    return None


def _number(text):
    try:
        return float(text)
    except ValueError:
        return math.nan


def _check_all_there(rows, utterances, path, problems):
    for name in utterances:
        if name not in rows:
            problems.add(path, None, f"has no line for '{name}', which is in the trials")


def _columns(rows):
    values = {"seconds": np.array([float(seconds) for seconds, _ in rows])}
    if rows and rows[0][1] != NO_COHORT:
        values["cohort_mean"] = np.array([float(mean) for _, mean in rows])
    return values
