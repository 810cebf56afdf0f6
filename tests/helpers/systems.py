"""Systems with drawn scores, for the tests of the report."""

import numpy as np

from local.evaluation.evaluate import Evaluation
from local.evaluation.intervals import NO_INTERVALS
from local.evaluation.metrics import detection_curve
from local.evaluation.summary import summarise
from local.lists.trials import Trials


def drawn_trials(num_trials, num_utterances=40, names=None):
    """Pairs of utterances, of which every fourth is a client trial."""
    rng = np.random.default_rng(1)
    names = names or [f"s{index % 8}/u{index}" for index in range(num_utterances)]
    enrol, test = rng.integers(len(names), size=(2, num_trials))
    return Trials(names, enrol, test, np.arange(num_trials) % 4 == 0, [])


def drawn_scores(trials, distance=2.5, seed=0):
    """float32, from two normal distributions."""
    noise = np.random.default_rng(seed).standard_normal(len(trials))
    return (noise + distance * trials.is_client).astype(np.float32)


def make_system(trials, scores, name="cosine", audio=None, **summary):
    """A system with a summary of its figures, changed by what is given."""
    curve = detection_curve(scores, trials.is_client)
    parts = {
        "num_speakers": 8,
        "intervals": {},
        "conditions": {},
        "is_calibrated": True,
        "warnings": [],
        "notes": [],
    }
    figures = summarise(scores, trials.is_client, curve) | parts | summary
    return Evaluation(name, trials, scores, curve, figures, NO_INTERVALS, audio or {})
