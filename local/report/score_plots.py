"""Scores to pictures: their histogram, and whether they are the log-likelihood ratios they seem."""

import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit, logit

from local.evaluation.cllr import convex_hull, hull_llrs
from local.evaluation.metrics import curve_act_dcf, curve_min_dcf

# Priors of a client trial, as natural-log odds.
PRIOR_LOG_ODDS = np.linspace(-8.0, 4.0, 121)


def score_histogram_figure(scores, is_client, thresholds=None):
    """Draws how the scores of each class are distributed, in percent of it: a matplotlib Figure.

    Arguments
    ---------
    scores : array_like
        (num_trials,), finite.
    is_client : array_like of bool
        (num_trials,); both classes must be there.
    thresholds : dict of str to float, optional
        The name of a threshold -> its place, which a line marks. One beyond the scores is named,
        but not drawn.
    """
    # In float32, nearly equal scores leave no room for the edges of the bins.
    scores, is_client = np.asarray(scores, np.float64), np.asarray(is_client)
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    edges = np.histogram_bin_edges(scores, bins=_num_bins(is_client))
    for name, is_of_class in (("impostors", ~is_client), ("clients", is_client)):
        counts, total = np.histogram(scores[is_of_class], edges)[0], np.count_nonzero(is_of_class)
        label = f"{name} ({total:,})"
        axes.stairs(100.0 * counts / total, edges, fill=True, alpha=0.5, label=label)
    _mark(axes, thresholds or {}, edges)
    axes.set_xlabel("Score")
    axes.set_ylabel("Trials of the class [%]")
    axes.legend(fontsize="small")
    return figure


def _num_bins(is_client):
    """Rice's rule for the smaller class, within what is readable."""
    num_clients = np.count_nonzero(is_client)
    smaller = min(num_clients, len(is_client) - num_clients)
    return int(np.clip(2.0 * np.cbrt(smaller), 10, 100))


def _mark(axes, thresholds, edges):
    styles = ("-", "--", ":", "-.")
    for index, (name, threshold) in enumerate(thresholds.items()):
        style = {"color": f"C{index + 2}", "linestyle": styles[index % len(styles)]}
        label = f"{name}: {threshold:.3f}"
        if edges[0] <= threshold <= edges[-1]:
            axes.axvline(threshold, label=label, **style)
        else:
            axes.plot([], [], label=f"{label} (beyond the scores)", **style)


def calibration_figure(curve, p_targets=()):
    """Draws scores beside the best log-likelihood ratios, and costs over the prior: a Figure.

    On the left is the increasing map of the scores with the lowest Cllr (pool adjacent violators),
    beside a line for the scores as they are. On the right are the costs of the decisions at the
    Bayes threshold and of the best ones ("normalised Bayes error rate"): the gap between them is
    what better calibration would save.

    Arguments
    ---------
    curve : local.evaluation.metrics.DetectionCurve
    p_targets : sequence of float
        Priors that are marked.
    """
    figure = Figure(figsize=(10.0, 4.5), layout="constrained")
    map_axes, cost_axes = figure.subplots(1, 2)
    hull = convex_hull(curve)
    _draw_map(map_axes, hull)
    _draw_costs(cost_axes, curve, hull, p_targets)
    for axes in (map_axes, cost_axes):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    return figure


def _draw_map(axes, hull):
    # A step from vertex to vertex. Where there are trials of one class only, it is infinite.
    axes.stairs(hull_llrs(hull), hull.thresholds, baseline=None, label="best increasing map")
    ends = hull.thresholds[[0, -1]]
    axes.plot(ends, ends, color="grey", linestyle=":", label="score")
    axes.set_xlabel("Score")
    axes.set_ylabel("Natural-log likelihood ratio")


def _draw_costs(axes, curve, hull, p_targets):
    priors = expit(PRIOR_LOG_ODDS)
    actual = [curve_act_dcf(curve, prior)[0] for prior in priors]
    minimum = [curve_min_dcf(hull, prior)[0] for prior in priors]
    axes.plot(PRIOR_LOG_ODDS, actual, label="actual")
    axes.plot(PRIOR_LOG_ODDS, minimum, linestyle="--", label="minimum")
    axes.axhline(1.0, color="grey", linestyle=":", label="without scores")
    for p_target in p_targets:
        x = logit(p_target)
        axes.axvline(x, color="grey", linewidth=0.8)
        axes.annotate(f"p = {p_target:g}", (x, 1.22), rotation=90, ha="right", va="top", size=8)
    axes.set(xlim=PRIOR_LOG_ODDS[[0, -1]], ylim=(0.0, 1.25))
    axes.set_xlabel("Prior of a client trial [natural-log odds]")
    axes.set_ylabel("Normalised detection cost")
