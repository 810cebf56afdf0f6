"""Utterances to quality measures: what else says how far the score of a trial can be trusted."""

import math
from pathlib import Path

import numpy as np

from local.atomic import replacing
from local.errors import InputError, Problems
from local.lists.fields import read_fields

HEADER = "utterance seconds cohort_mean"
# Written in place of the mean score if there was no cohort.
NO_COHORT = "-"


# The name of a measure -> its column in the quality file, a map of the values there, and what the
# lower and the higher value of the two sides of a trial are called. The order of the sides does not
# matter to a calibration.
MEASURES = {
    "log_seconds": ("seconds", np.log, ["log_seconds_shorter", "log_seconds_longer"]),
    "cohort_mean": ("cohort_mean", np.asarray, ["cohort_mean_lower", "cohort_mean_higher"]),
}
# The column -> where it comes from.
SOURCES = {
    "seconds": "it needs the quality.txt that verification writes beside scores.txt",
    "cohort_mean": "it needs a quality.txt of a verification with a cohort (s-norm)",
}


def checked_measures(names):
    """Names of quality measures, one name, or None as a tuple of names.

    Raises an InputError if a name is unknown or repeated.

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
        raise InputError(f"quality: a measure is given twice: {', '.join(names)}")
    return names


def input_names(names):
    """The names of the columns of `trial_inputs`.

    Example
    -------
    >>> input_names(["log_seconds"])
    ['score', 'log_seconds_shorter', 'log_seconds_longer']
    """
    return ["score", *(name for measure in names for name in MEASURES[measure][2])]


def trial_inputs(names, trials, scores, quality):
    """What the calibration weighs: float64 (num_trials, num_inputs), with `input_names` as columns.

    Arguments
    ---------
    names : sequence of str
        Of the quality measures: any of `MEASURES`.
    trials : local.lists.trials.Trials
    scores : array_like
        (num_trials,)
    quality : dict or None
        From `read_quality`, in the order of `trials.utterances`. None if there are no names.

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
        column, scale, _ = MEASURES[name]
        if not quality or column not in quality:
            raise InputError(f"quality: {name} is not known of these trials: {SOURCES[column]}")
        values = scale(quality[column])
        sides = values[trials.enrol], values[trials.test]
        inputs[:, 2 * index + 1] = np.minimum(*sides)
        inputs[:, 2 * index + 2] = np.maximum(*sides)
    return inputs


def write_quality(path, utterances, quality):
    """Writes column names and `UTTERANCE SECONDS COHORT_MEAN` lines, all of them or no file.

    Arguments
    ---------
    path : str or Path
    utterances : sequence of str
        Or models that several utterances enrol.
    quality : dict
        "seconds", above 0, and perhaps "cohort_mean": the mean score against the cohort, or against
        its nearest members where these normalise the scores. Both are (num_utterances,).
    """
    means = [f"{mean:.9g}" for mean in quality.get("cohort_mean", ())]
    means = means or [NO_COHORT] * len(utterances)
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(f"{HEADER}\n")
        for name, length, mean in zip(utterances, quality["seconds"], means, strict=True):
            file.write(f"{name} {length:.9g} {mean}\n")


def read_quality(path, utterances):
    """Reads what `write_quality` writes, and checks every line.

    Returns
    -------
    quality : dict
        "seconds" and, if the file has it, "cohort_mean" -> float64 (num_utterances,), in the order
        of `utterances`. The file may have others, too.

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
    problems.raise_if_any()
    for name in utterances:
        if name not in rows:
            problems.add(path, None, f"has no line for '{name}', which is in the trials")
    problems.raise_if_any()
    seconds, means = zip(*(rows[name] for name in utterances), strict=True)
    values = {"seconds": np.array(seconds, np.float64)}
    if means[0] != NO_COHORT:
        values["cohort_mean"] = np.array(means, np.float64)
    return values


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
