"""EER and two minDCF together, from 10^4 to 10^7 trials."""

from functools import partial

import numpy as np
import torch
from sklearn.metrics import det_curve
from speechbrain.utils.metric_stats import EER, minDCF
from tables import Table, against, compared
from timing import interleaved, timed

from local.evaluation.metrics import curve_eer, curve_min_dcf, detection_curve

P_TARGETS = (0.01, 0.05)
# SpeechBrain's take time, and its minDCF memory, with the square of the number of trials.
NUM_SPEECHBRAIN_TRIALS = 10_000
SPEECHBRAIN_TARGETS = {100_000: 1000}
SCIKIT_LEARN_TARGETS = {10_000_000: 2}


def measure(options):
    """The recipe's exact metrics beside scikit-learn's curve and SpeechBrain's functions."""
    sizes = (1000, 10_000) if options.quick else (10_000, 100_000, 1_000_000, 10_000_000)
    num_speechbrain = min(sizes[0], NUM_SPEECHBRAIN_TRIALS)
    speechbrain_seconds = timed(lambda: speechbrain_metrics(*made_up_scores(num_speechbrain)))
    rows = []
    for num_trials in sizes:
        scores, is_client = made_up_scores(num_trials)
        calls = {
            f"{num_trials:,} trials: the recipe": partial(local_metrics, scores, is_client),
            "scikit-learn": partial(scikit_learn_metrics, scores, is_client),
        }
        times = interleaved(calls, rounds=3)
        rows += compared(times, {"scikit-learn": SCIKIT_LEARN_TARGETS.get(num_trials)})
        factor = (num_trials / num_speechbrain) ** 2
        what = "SpeechBrain" if factor == 1 else "SpeechBrain, extrapolated"
        ours = next(iter(times.values())).median
        target = SPEECHBRAIN_TARGETS.get(num_trials)
        rows.append(against(what, speechbrain_seconds * factor, None, ours, target))
    return Table("EER, minDCF(0.01) and minDCF(0.05)", rows)


def made_up_scores(num_trials):
    """Scores of two normal distributions, half of the trials each: float32, and bool."""
    rng = np.random.default_rng(0)
    is_client = rng.random(num_trials) < 0.5
    return (rng.standard_normal(num_trials) + 3.0 * is_client).astype(np.float32), is_client


def local_metrics(scores, is_client):
    curve = detection_curve(scores, is_client)
    return curve_eer(curve), [curve_min_dcf(curve, p_target) for p_target in P_TARGETS]


def scikit_learn_metrics(scores, is_client):
    false_alarm, miss, _ = det_curve(is_client, scores)
    costs = [p_target * miss + (1.0 - p_target) * false_alarm for p_target in P_TARGETS]
    return np.abs(miss - false_alarm).argmin(), [cost.min() for cost in costs]


def speechbrain_metrics(scores, is_client):
    clients, impostors = torch.tensor(scores[is_client]), torch.tensor(scores[~is_client])
    costs = [minDCF(clients, impostors, p_target=p_target) for p_target in P_TARGETS]
    return EER(clients, impostors), costs
