"""Scores of trials to error rates, exactly: miss and false-alarm curve, EER, detection costs.

The convention, for everything here: a trial is accepted when `score >= threshold`.

    miss(threshold)         share of the client trials with score < threshold
    false_alarm(threshold)  share of the impostor trials with score >= threshold

Trials with equal scores change sides together. Rates are fractions from 0 to 1, not percent.
"""

from typing import NamedTuple

import numpy as np


class DetectionCurve(NamedTuple):
    """Both error rates at every threshold where they differ: what all metrics and plots share."""

    # (num_thresholds,), ascending: each score that occurs (its trials and those above are
    # accepted), and at the end the next number above the highest score (none is accepted).
    thresholds: np.ndarray
    miss: np.ndarray  # float64 (num_thresholds,), from 0 up to 1
    false_alarm: np.ndarray  # float64 (num_thresholds,), from 1 down to 0


def detection_curve(scores, is_client):
    """Counts the errors at each threshold, by sorting.

    Arguments
    ---------
    scores : array_like
        (num_trials,), finite. float32 stays float32, everything else becomes float64.
    is_client : array_like of bool
        (num_trials,), True for a client (target) trial, False for an impostor trial.

    Raises
    ------
    ValueError
        If the shapes differ, a score is not finite, or one of the classes has no trial.

    Example
    -------
    >>> thresholds, miss, false_alarm = detection_curve([0.1, 0.5, 0.9], [False, True, True])
    >>> miss.tolist(), false_alarm.tolist()
    ([0.0, 0.0, 0.5, 1.0], [1.0, 0.0, 0.0, 0.0])
    """
    scores, is_client = _checked_trials(scores, is_client)
    # Sorting values and searching in order takes half the time of np.argsort at 10^7 trials.
    clients = np.sort(scores[is_client])
    impostors = np.sort(scores[~is_client])
    thresholds = np.unique(scores)
    above_all = np.nextafter(thresholds[-1], np.inf, dtype=scores.dtype)
    thresholds = np.append(thresholds, above_all)
    miss = np.searchsorted(clients, thresholds) / len(clients)
    false_alarm = (len(impostors) - np.searchsorted(impostors, thresholds)) / len(impostors)
    return DetectionCurve(thresholds, miss, false_alarm)


def eer(scores, is_client):
    """The equal error rate of scored trials: `detection_curve`, then `curve_eer`.

    Example
    -------
    >>> eer([0.2, 0.4, 0.6, 0.8], [False, True, False, True])
    (0.5, 0.6)
    """
    return curve_eer(detection_curve(scores, is_client))


def curve_eer(curve):
    """The error rate where the steps of miss and false alarm cross, exactly.

    Raising the threshold past one score moves only the miss rate or only the false-alarm rate, and
    the crossing lies on such a step. Only where a client and an impostor trial have the same score
    do both move; the crossing is then taken on the straight line of that step.

    Arguments
    ---------
    curve : DetectionCurve
        From `detection_curve`, or from `local.evaluation.cllr.convex_hull` for the hull's EER.

    Returns
    -------
    eer : float
        As a fraction.
    threshold : float
        The threshold of the curve with the smallest |miss - false_alarm|, the lower one of two.
    """
    # Rises with every threshold, from -1 to 1.
    difference = curve.miss - curve.false_alarm
    rate = np.interp(0.0, difference, curve.miss)
    nearest = np.argmin(np.abs(difference))
    return float(rate), float(curve.thresholds[nearest])


def curve_min_dcf(curve, p_target, c_miss=1.0, c_false_alarm=1.0):
    """The lowest detection cost over all thresholds, normalised.

    The cost c_miss * p_target * miss + c_false_alarm * (1 - p_target) * false_alarm is divided by
    that of the better one of accepting all trials and accepting none, so it is never above 1.

    Arguments
    ---------
    curve : DetectionCurve
        From `detection_curve`.
    p_target : float
        The prior probability of a client trial, between 0 and 1, both excluded.
    c_miss, c_false_alarm : float
        The costs of the two errors, above 0.

    Returns
    -------
    min_dcf : float
        The lowest normalised cost.
    threshold : float
        The lowest threshold of the curve with this cost.

    Raises
    ------
    ValueError
        If the prior or a cost is outside its range.
    """
    costs = _normalised_costs(curve.miss, curve.false_alarm, p_target, c_miss, c_false_alarm)
    best = np.argmin(costs)
    return float(costs[best]), float(curve.thresholds[best])


def curve_act_dcf(curve, p_target, c_miss=1.0, c_false_alarm=1.0):
    """The actual detection cost of scores that are log-likelihood ratios, normalised.

    The decisions are those at `bayes_threshold`, which does not depend on the scores: how much this
    is above the minimum is what calibration costs. It can be far above 1.

    Arguments
    ---------
    curve, p_target, c_miss, c_false_alarm
        As for `curve_min_dcf`.

    Returns
    -------
    act_dcf : float
        The normalised cost.
    threshold : float
        The Bayes threshold.

    Example
    -------
    >>> curve = detection_curve([-4.0, 1.0, 3.0, 4.0], [False, True, False, True])
    >>> cost, threshold = curve_act_dcf(curve, p_target=0.05)
    >>> round(cost, 6), round(threshold, 6)  # half of the clients missed, 19 times half the alarms
    (10.0, 2.944439)
    """
    costs = p_target, c_miss, c_false_alarm
    threshold = bayes_threshold(*costs)
    point = point_at(curve, threshold)
    return float(_normalised_costs(curve.miss[point], curve.false_alarm[point], *costs)), threshold


def point_at(curve, threshold):
    """The index of the point of a curve with the decisions of any threshold.

    Example
    -------
    >>> curve = detection_curve([0.1, 0.5], [False, True])
    >>> [point_at(curve, threshold) for threshold in (0.0, 0.1, 0.2, 0.6)]
    [0, 0, 1, 2]
    """
    # In the type of the thresholds, and not below: numpy would otherwise convert all of them.
    kind = curve.thresholds.dtype.type
    lowest = kind(threshold)
    if lowest < threshold:
        lowest = np.nextafter(lowest, kind(np.inf))
    return int(min(np.searchsorted(curve.thresholds, lowest), len(curve.thresholds) - 1))


def bayes_threshold(p_target, c_miss=1.0, c_false_alarm=1.0):
    """The natural-log likelihood ratio from which on it costs less to accept a trial.

    Example
    -------
    >>> round(bayes_threshold(0.01), 6)
    4.59512
    """
    _check_costs(p_target, c_miss, c_false_alarm)
    return float(np.log(c_false_alarm / c_miss * (1.0 - p_target) / p_target))


def _normalised_costs(miss, false_alarm, p_target, c_miss, c_false_alarm):
    _check_costs(p_target, c_miss, c_false_alarm)
    cost_of_none, cost_of_all = c_miss * p_target, c_false_alarm * (1.0 - p_target)
    costs = cost_of_none * miss + cost_of_all * false_alarm
    return costs / min(cost_of_none, cost_of_all)


def _check_costs(p_target, c_miss, c_false_alarm):
    if not 0.0 < p_target < 1.0:
        raise ValueError(f"p_target must be between 0 and 1, got {p_target}")
    if not (0.0 < c_miss < np.inf and 0.0 < c_false_alarm < np.inf):
        raise ValueError(f"costs must be above 0, got {c_miss=} and {c_false_alarm=}")


def _checked_trials(scores, is_client):
    """Both as arrays, or a ValueError that says what is wrong with them."""
    scores, is_client = np.asarray(scores), np.asarray(is_client)
    if scores.dtype != np.float32:
        scores = scores.astype(np.float64)
    if scores.ndim != 1 or scores.shape != is_client.shape:
        raise ValueError(
            f"scores and is_client must be two lists of one length, "
            f"got shapes {scores.shape} and {is_client.shape}"
        )
    num_trials, num_clients = len(scores), np.count_nonzero(is_client)
    if num_clients in (0, num_trials):
        raise ValueError(
            f"error rates need both classes: there are {num_clients} client trials and "
            f"{num_trials - num_clients} impostor trials"
        )
    if is_client.dtype != bool:
        raise ValueError(f"is_client must be True or False per trial, got {is_client.dtype} values")
    is_finite = np.isfinite(scores)
    if not is_finite.all():
        first = np.argmin(is_finite)
        raise ValueError(
            f"scores must be finite: score {first} (counted from 0) is {scores[first]}, "
            f"{np.count_nonzero(~is_finite)} of {num_trials} are not finite"
        )
    return scores, is_client
