"""Scores to natural-log likelihood ratios, by logistic regression on trials of known speakers.

A calibration is an offset, a weight for the score and two weights for each quality measure. It
costs least at the prior probability of clients at which it is learnt: Brümmer and du Preez,
"Application-independent evaluation of speaker detection", Computer Speech and Language 20 (2006).
"""

import json
import logging
import sys
from typing import NamedTuple

import numpy as np

from local.atomic import read_text
from local.errors import InputError
from local.evaluation.cllr import cllr
from local.evaluation.summary import count, write_json
from local.scoring.quality import checked_measures, input_names, trial_inputs
from local.scoring.score_files import write_scores

logger = logging.getLogger(__name__)

MEANING = "natural-log likelihood ratio = offset + sum of weight * input"


class Calibration(NamedTuple):
    """A map of scores, and of quality measures, to natural-log likelihood ratios."""

    weights: dict  # each of `local.scoring.quality.input_names` -> its weight
    offset: float
    p_target: float  # the prior probability of a client at which it was learnt
    quality: tuple  # the names of the quality measures that it needs
    # For a person who reads the file: scores (their path), num_trials, num_clients, num_impostors,
    # cllr_before, cllr_after.
    learnt_on: dict


def fit(inputs, is_client, p_target, quality=(), scores_path=None):
    """Learns a calibration, and warns of scores that it can't be learnt from.

    Arguments
    ---------
    inputs : np.ndarray
        float64 (num_trials, num_inputs), finite, from `local.scoring.quality.trial_inputs`.
    is_client : np.ndarray
        bool (num_trials,), both classes.
    p_target : float
        The prior probability of a client, between 0 and 1, both excluded. It takes the place of
        the share of the client trials.
    quality : sequence of str
        The quality measures among the inputs.
    scores_path : str or Path, optional
        The file of the scores, for `learnt_on`.

    Example
    -------
    >>> scores = np.array([[0.0], [0.0], [1.0], [0.0], [1.0], [1.0]])
    >>> calibration = fit(scores, np.array([False] * 3 + [True] * 3), p_target=0.5)
    >>> apply(calibration, scores[1:3]).round(6)  # log(1/3 / 2/3), log(2/3 / 1/3)
    array([-0.693147,  0.693147])
    """
    from local.evaluation.logistic_regression import fit_llrs  # here, as scipy takes a moment

    weights, offset = fit_llrs(inputs, is_client, p_target)
    weights = dict(zip(input_names(quality), weights.tolist(), strict=True))
    calibration = Calibration(weights, offset, p_target, tuple(quality), {})
    scores, llrs = inputs[:, 0], apply(calibration, inputs)
    _warn(weights["score"], scores, llrs, is_client)
    costs = {"cllr_before": cllr(scores, is_client), "cllr_after": cllr(llrs, is_client)}
    path = None if scores_path is None else str(scores_path)
    return calibration._replace(learnt_on={"scores": path} | count(is_client) | costs)


def _warn(weight, scores, llrs, is_client):
    if scores.min() == scores.max():
        logger.warning("all scores are equal: their weight is 0, and nothing can be learnt")
    elif llrs[is_client].min() >= llrs[~is_client].max():
        logger.warning(
            "the scores separate clients from impostors completely: only the sign of the "
            "log-likelihood ratios can be trusted; learn them from more trials, or harder ones"
        )
    if weight < 0.0:
        logger.warning(
            "the weight of the score is negative (%.4g): a higher score speaks for two speakers; "
            "are the scores distances, or the labels the wrong way round?",
            weight,
        )


def apply(calibration, inputs):
    """The natural-log likelihood ratios of trials, float64 (num_trials,).

    The inputs, (num_trials, num_inputs), are those of `local.scoring.quality.trial_inputs` for the
    quality measures of the calibration.
    """
    weights = [calibration.weights[name] for name in input_names(calibration.quality)]
    return inputs @ np.array(weights) + calibration.offset


def calibrate(calibration, system, path):
    """TrialScores with log-likelihood ratios in place of scores, which a file gets, too.

    Raises an InputError if they lack a quality measure, or the file can't be written.
    """
    inputs = trial_inputs(calibration.quality, system.trials, system.scores, system.quality)
    llrs = apply(calibration, inputs).astype(np.float32)
    write_scores(path, system.trials, llrs)
    return system._replace(name=f"{system.name}, calibrated", scores=llrs)


def save(path, calibration):
    """Writes a calibration as indented JSON, whole or not at all."""
    write_json(path, {"meaning": MEANING} | calibration._asdict())


def load(path):
    """Reads the Calibration that `save` writes; an InputError says what is wrong with the file."""
    try:
        return from_plain(json.loads(read_text(path)))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no calibration: {error}") from error


def from_plain(content):
    """The Calibration in what JSON has of it; a ValueError says what is wrong."""
    try:
        quality = checked_measures(content["quality"])
        weights, names = content["weights"], input_names(quality)
        if weights.keys() != set(names):
            found = ", ".join(weights) or "nothing"
            raise ValueError(f"has weights of {found}, not of {', '.join(names)}")
        weights = {name: _finite(name, weights[name]) for name in names}
        offset, p_target = (_finite(name, content[name]) for name in ("offset", "p_target"))
        if not 0.0 < p_target < 1.0:
            raise ValueError(f"p_target: {p_target} is not between 0 and 1")
        learnt_on = dict(content.get("learnt_on", {}))
    except KeyError as error:
        raise ValueError(f"{error} is missing") from error
    except (InputError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error
    return Calibration(weights, offset, p_target, quality, learnt_on)


def _finite(name, value):
    # True is an int, too, and math.isfinite fails on whole numbers too large for a float.
    if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{name}: {value} is not a finite number")
    return float(value)
