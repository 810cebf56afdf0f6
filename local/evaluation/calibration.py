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

from local.atomic import read_text, replacing
from local.errors import InputError
from local.evaluation.cllr import cllr
from local.evaluation.logistic_regression import fit_llrs
from local.scoring.quality import checked_measures, input_names, trial_inputs

logger = logging.getLogger(__name__)

MEANING = "natural-log likelihood ratio = offset + sum of weight * input"


class Calibration(NamedTuple):
    """A map of scores, and of quality measures, to natural-log likelihood ratios.

    Arguments
    ---------
    weights : dict
        Each of `local.scoring.quality.input_names` -> its weight.
    offset : float
    p_target : float
        The prior probability of a client at which it was learnt.
    quality : tuple of str
        The quality measures that it needs.
    learnt_on : dict
        For a person who reads the file: scores (their path), num_clients, num_impostors,
        cllr_before, cllr_after.
    """

    weights: dict
    offset: float
    p_target: float
    quality: tuple
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

    Raises
    ------
    ValueError
        If the prior is outside its range, a class has no trial, or the number of inputs is wrong.

    Example
    -------
    >>> scores = np.array([[0.0], [0.0], [1.0], [0.0], [1.0], [1.0]])
    >>> calibration = fit(scores, np.array([False] * 3 + [True] * 3), p_target=0.5)
    >>> apply(calibration, scores[1:3]).round(6)  # log(1/3 / 2/3), log(2/3 / 1/3)
    array([-0.693147,  0.693147])
    """
    names = input_names(quality)
    if inputs.shape != (len(is_client), len(names)):
        raise ValueError(f"there must be {len(names)} inputs a trial, got shape {inputs.shape}")
    weights, offset = fit_llrs(inputs, is_client, p_target)
    weights = dict(zip(names, weights.tolist(), strict=True))
    calibration = Calibration(weights, offset, p_target, tuple(quality), {})
    scores, llrs = inputs[:, 0], apply(calibration, inputs)
    _warn(weights["score"], scores, llrs, is_client)
    learnt_on = {
        "scores": None if scores_path is None else str(scores_path),
        "num_clients": int(np.count_nonzero(is_client)),
        "num_impostors": int(np.count_nonzero(~is_client)),
        "cllr_before": cllr(scores, is_client),
        "cllr_after": cllr(llrs, is_client),
    }
    return calibration._replace(learnt_on=learnt_on)


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
    """The log-likelihood ratios of trials: float64 (num_trials,), natural logarithms.

    Arguments
    ---------
    calibration : Calibration
    inputs : np.ndarray
        (num_trials, num_inputs), from `local.scoring.quality.trial_inputs`, for its quality
        measures.
    """
    weights = [calibration.weights[name] for name in input_names(calibration.quality)]
    return inputs @ np.array(weights) + calibration.offset


def calibrate_scores(calibration, trials, scores, quality=None):
    """The log-likelihood ratios of scored trials, in place of their scores: float32 (num_trials,).

    Arguments
    ---------
    calibration : Calibration
    trials : local.lists.trials.Trials
    scores : np.ndarray
        (num_trials,)
    quality : dict, optional
        From `local.scoring.quality.read_quality`; needed if the calibration has quality measures.

    Raises
    ------
    InputError
        If a quality measure is missing.
    """
    inputs = trial_inputs(calibration.quality, trials, scores, quality)
    return apply(calibration, inputs).astype(np.float32)


def save(path, calibration):
    """Writes a calibration as indented JSON, whole or not at all."""
    content = {"meaning": MEANING} | calibration._asdict()
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def load(path):
    """Reads the Calibration that `save` writes; an InputError says what is wrong with the file."""
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: is no calibration: {error}") from error
    problem = _problem_with(content)
    if problem:
        raise InputError(f"{path}: {problem}; recipes/calibrate.py writes such files")
    return Calibration(
        {name: float(weight) for name, weight in content["weights"].items()},
        float(content["offset"]),
        float(content["p_target"]),
        tuple(content["quality"]),
        content.get("learnt_on", {}),
    )


def _problem_with(content):
    """What is wrong with the content of a file, or None."""
    kinds = {"weights": dict, "offset": (int, float), "p_target": (int, float), "quality": list}
    if not isinstance(content, dict):
        return "is no calibration"
    for key, kind in kinds.items():
        if not isinstance(content.get(key), kind):
            return f"is no calibration: '{key}' is missing or wrong"
    try:
        names = input_names(checked_measures(content["quality"]))
    except InputError as error:
        return str(error)
    weights = content["weights"]
    if sorted(weights) != sorted(names):
        return f"has weights of {', '.join(weights) or 'nothing'}, not of {', '.join(names)}"
    for name, value in (weights | {"offset": content["offset"]}).items():
        if not _is_finite(value):
            return f"{name}: {value} is not a finite number"
    if not 0.0 < content["p_target"] < 1.0:
        return f"p_target: {content['p_target']} is not between 0 and 1"
    return None


def _is_finite(value):
    # math.isfinite would take True, and fail on whole numbers that are too large for a float.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max
