"""What a model directory says about decisions: from which cosine on two recordings are one speaker.

Recipes that use a model ask `read_decision` with what `load_model` returned. A model knows its
threshold from the first of these that there is:

1. `decision.json` beside its weights, which `write_decision` writes: a calibration that was kept
   (`--keep_calibration` of recipes/verify.py and recipes/calibrate.py), or a threshold given in an
   export. It belongs to these very weights, by their digest; of others, it is not used.
2. The threshold of the EER in its validation, which the weights hold.

Scores are those of `local.scoring.systems.System()`: cosines of whole recordings, without a cohort.
"""

import json
import logging
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from local.atomic import read_text
from local.errors import InputError
from local.evaluation import calibration as calibrations
from local.evaluation.calibration import Calibration
from local.evaluation.metrics import bayes_threshold
from local.evaluation.summary import write_json
from local.scoring.trial_scores import SCORE_FILE

logger = logging.getLogger(__name__)

# The prior probability of one speaker that recipes/compare.py takes, unless it is told another.
P_TARGET = 0.5
DECISION_FILE = "decision.json"
VALIDATED = "the equal error rate of its validation"
GIVEN = "the value that was given when it was exported"
UNKNOWN = "this model has neither a calibration nor a threshold of its validation"


class Decision(NamedTuple):
    """From which score on two recordings are taken for one speaker, and how sure that is."""

    # A cosine; with a calibration, that at even odds. None: only the score can be given.
    threshold: float | None
    where: str  # where it comes from, in words
    calibration: Calibration | None = None

    def threshold_at(self, p_target):
        """The threshold for the prior probability `p_target` of one speaker.

        Without a calibration it is the same for all; None where it is not known.
        """
        if self.calibration is None:
            return self.threshold
        least = bayes_threshold(p_target)
        return (least - self.calibration.offset) / self.calibration.weights["score"]

    def llrs(self, scores):
        """The natural-log likelihood ratios of cosines, as a calibrated verification has them.

        Arguments
        ---------
        scores : array_like
            float32 (num_scores,)

        Returns
        -------
        llrs : np.ndarray or None
            float32 (num_scores,); None without a calibration.

        Example
        -------
        >>> decision = of_calibration(Calibration({"score": 8.0}, -4.0, 0.5, (), {}))
        >>> decision.llrs([0.5, 0.75]).tolist(), decision.threshold
        ([0.0, 2.0], 0.5)
        """
        if self.calibration is None:
            return None
        inputs = np.asarray(scores, np.float32).astype(np.float64)[:, None]
        return calibrations.apply(self.calibration, inputs).astype(np.float32)


def of_calibration(calibration):
    """The Decision by a calibration.

    Raises an InputError if none can be made from a cosine alone.
    """
    if calibration.quality:
        raise InputError(
            "a calibration with quality measures can't be kept in a model, which decides by the "
            "cosine alone: learn one without --quality"
        )
    weight, num_trials = calibration.weights["score"], calibration.learnt_on.get("num_trials")
    threshold = -calibration.offset / weight if weight > 0 else math.inf
    if not -1 <= threshold <= 1:
        raise InputError(
            f"this calibration can't be kept in a model: by {weight:.4g} * score "
            f"{calibration.offset:+.4g}, no cosine decides. Was it learnt on other scores than "
            "cosines without normalisation?"
        )
    on = f", learnt on {num_trials:,} trials" if type(num_trials) is int else ""
    return Decision(threshold, f"its calibration{on}", calibration)


def of_trials(system, folder):
    """The Decision by a calibration that is learnt on scored trials.

    Arguments
    ---------
    system : local.scoring.trial_scores.TrialScores
        Of cosines.
    folder : Path
        Where they are kept.
    """
    inputs = np.asarray(system.scores, np.float64)[:, None]
    path = folder / SCORE_FILE
    learnt = calibrations.fit(inputs, system.trials.is_client, P_TARGET, scores_path=path)
    return of_calibration(learnt)


def read_decision(model):
    """The Decision of a model.

    Arguments
    ---------
    model : dict
        From `local.model_files.model_dir.load_model`.

    Raises
    ------
    InputError
        If what is kept in its directory is damaged.
    """
    path = Path(model["path"]).with_name(DECISION_FILE)
    if path.exists():
        digest, decision = _read(path)
        if digest == model["digest"]:
            return decision
        logger.warning(f"{path}: is not used, as it belongs to other weights: calibrate them anew")
    threshold = model["threshold"]
    if threshold is None or not math.isfinite(threshold):
        return Decision(None, UNKNOWN)
    return Decision(threshold, VALIDATED)


def _read(path):
    try:
        content = json.loads(read_text(path))
        digest = str(content["model"])
        if content["calibration"] is not None:
            return digest, of_calibration(calibrations.from_plain(content["calibration"]))
        threshold = content["threshold"]
        if type(threshold) not in (int, float) or not -1 <= threshold <= 1:
            raise ValueError(f"threshold: {threshold} is no cosine")
    except (InputError, LookupError, ValueError, TypeError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise InputError(f"{path}: is damaged ({reason}): delete it, and calibrate anew") from error
    return digest, Decision(float(threshold), GIVEN)


def write_decision(model, decision, model_dir=None):
    """Keeps a Decision in a model directory, in place of what is kept there.

    Arguments
    ---------
    model : dict
        From `load_model`.
    decision : Decision
        From `of_calibration` or `of_trials`, or one with a threshold that is GIVEN.
    model_dir : str or Path, optional
        If not the one that the model is from: one that has the same weights.

    Returns
    -------
    path : Path
    """
    kept = decision.calibration
    path = Path(model_dir or Path(model["path"]).parent) / DECISION_FILE
    content = {"threshold": decision.threshold, "calibration": kept and kept._asdict()}
    write_json(path, {"meaning": calibrations.MEANING, "model": model["digest"]} | content)
    return path
