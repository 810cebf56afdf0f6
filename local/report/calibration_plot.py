"""Whether scores are the log-likelihood ratios that they are taken for."""

import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit, logit

from local.evaluation.cllr import convex_hull, hull_llrs
from local.evaluation.metrics import curve_act_dcf, curve_min_dcf

# Priors of a client trial, as natural-log odds.
PRIOR_LOG_ODDS = np.linspace(-8.0, 4.0, 121)


def calibration_figure(curve, p_targets=()):
    """Draws scores beside the best log-likelihood ratios, and costs over the prior.

    On the left, what an increasing map would make of the scores for the lowest Cllr (pool adjacent
    violators), beside the line where the scores stay what they are. On the right, the costs of the
    decisions at the Bayes threshold and of the best ones ("normalised Bayes error rate"): where
    they part, calibration is lost.

    Arguments
    ---------
    curve : local.evaluation.metrics.DetectionCurve
    p_targets : sequence of float
        Priors that are marked.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    figure = Figure(figsize=(10.0, 4.5), layout="constrained")
    map_axes, cost_axes = figure.subplots(1, 2)
    hull = convex_hull(curve)
    _draw_map(map_axes, hull)
    _draw_costs(cost_axes, curve, hull, p_targets)
    return figure


def _draw_map(axes, hull):
    llrs = hull_llrs(hull)
    # A step from one vertex to the next; the ends, where only one class is, are infinite.
    axes.stairs(llrs, hull.thresholds, baseline=None, label="best increasing map")
    low, high = hull.thresholds[0], hull.thresholds[-1]
    axes.plot([low, high], [low, high], color="grey", linestyle=":", label="score")
    axes.set_xlabel("Score")
    axes.set_ylabel("Natural-log likelihood ratio")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


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
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
