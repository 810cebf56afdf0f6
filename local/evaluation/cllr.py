"""Scores to their worth as log-likelihood ratios: Cllr, its minimum, and the convex hull.

Scores are natural-log likelihood ratios of "one speaker" to "two speakers". Costs are in bits: a
system that always says 0 has a Cllr of 1. Brümmer and du Preez, "Application-independent evaluation
of speaker detection", Computer Speech and Language 20 (2006).
"""

import numpy as np

from local.evaluation.metrics import DetectionCurve


def llr_costs(scores, is_client):
    """The cost of each trial in bits, float64 (num_trials,).

    It is log2(1 + exp(-score)) of a client trial, and log2(1 + exp(score)) of an impostor trial.
    """
    scores = np.asarray(scores, np.float64)
    return np.logaddexp(0.0, np.where(is_client, -scores, scores)) / np.log(2.0)


def cllr(scores, is_client):
    """The mean of `llr_costs` over the clients and over the impostors, each with weight one half.

    Example
    -------
    >>> cllr([0.0, 0.0, 0.0], [True, False, False])
    1.0
    >>> round(cllr([100.0, -100.0], [True, False]), 9)
    0.0
    """
    costs, is_client = llr_costs(scores, is_client), np.asarray(is_client)
    return 0.5 * float(costs[is_client].mean() + costs[~is_client].mean())


def convex_hull(curve):
    """The lower convex hull of the points (false alarm, miss), by isotonic regression.

    A decision at random between two thresholds reaches any point between their vertices.

    Arguments
    ---------
    curve : local.evaluation.metrics.DetectionCurve

    Returns
    -------
    hull : local.evaluation.metrics.DetectionCurve
        The vertices: points of the curve, its two ends among them. Its `curve_eer` is the EER of
        the hull; its `curve_min_dcf` is that of the whole curve.

    Example
    -------
    >>> from local.evaluation.metrics import detection_curve
    >>> hull = convex_hull(detection_curve([1.0, 2.0, 3.0, 4.0], [False, True, False, True]))
    >>> hull.false_alarm.tolist(), hull.miss.tolist()
    ([1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 1.0])
    """
    from scipy.optimize import isotonic_regression  # here, because the import takes a moment

    clients, impostors = np.diff(curve.miss), -np.diff(curve.false_alarm)
    weights = clients + impostors
    # A trial that a draw of the speakers leaves out makes a step of no length.
    steps = np.flatnonzero(weights > 0.0)
    shares = clients[steps] / weights[steps]
    blocks = isotonic_regression(shares, weights=weights[steps]).blocks
    vertices = np.append(steps[blocks[:-1]], len(curve.miss) - 1)
    vertices[0] = 0
    return DetectionCurve(*(values[vertices] for values in curve))


def min_cllr(hull):
    """The lowest Cllr that an increasing map of the scores reaches, from 0 to 1.

    The map gives all trials between two vertices of the `convex_hull` the log ratio of the shares
    of the clients and of the impostors that lie there (pool adjacent violators).
    """
    clients, impostors = np.diff(hull.miss), -np.diff(hull.false_alarm)
    # A share of 0 adds nothing.
    of_clients = clients * np.log2(1.0 + impostors / np.where(clients > 0.0, clients, 1.0))
    of_impostors = impostors * np.log2(1.0 + clients / np.where(impostors > 0.0, impostors, 1.0))
    return float(0.5 * (of_clients.sum() + of_impostors.sum()))


def hull_llrs(hull):
    """The log-likelihood ratio of each step of a hull, from -inf to inf: (num_vertices - 1,)."""
    clients, impostors = np.diff(hull.miss), -np.diff(hull.false_alarm)
    with np.errstate(divide="ignore"):
        return np.log(clients) - np.log(impostors)
