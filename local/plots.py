"""Pictures of scored trials: the DET curve, and the histogram of scores."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure
from scipy.special import ndtr, ndtri

from local.atomic import replacing
from local.metrics import curve_eer, curve_min_dcf

DPI = 150

# Rates that can be a tick or a limit of an axis, as fractions: for systems that work, and for
# those near chance or worse, whose picture reaches as far to the right of 50 % as to the left.
TICKS = np.array([1e-5, 1e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6])
WIDE_TICKS = np.array(
    [1e-5, 1e-4, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999, 0.9999, 0.99999]
)
# A curve of millions of trials is drawn through about this many points along each axis.
POINTS_PER_AXIS = 1000


def plot_det(curves, path, p_targets=()):
    """Saves `det_figure(curves, p_targets)` as PNG; a file is complete or not there."""
    _save(det_figure(curves, p_targets), path)


def plot_score_histogram(scores, is_client, path, threshold=None):
    """Saves `score_histogram_figure(scores, is_client, threshold)` as PNG, as `plot_det` does."""
    _save(score_histogram_figure(scores, is_client, threshold), path)


def det_figure(curves, p_targets=()):
    """Draws detection error trade-off (DET) curves on normal-deviate axes.

    Scores of two normal distributions give a straight line; a rate of 0 lies on the edge.

    Arguments
    ---------
    curves : dict of str to local.metrics.DetectionCurve
        The name of each system (for the legend) and its curve.
    p_targets : sequence of float
        Priors of a client trial whose minDCF points are marked beside the EER.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Belongs to no window and to no global state.
    """
    ticks = _det_ticks(curves.values())
    figure = Figure(figsize=(6.0, 6.0), layout="constrained")
    axes = figure.add_subplot()
    _draw_det_axes(axes, ticks)
    for name, curve in curves.items():
        line = _draw_det_curve(axes, curve, ticks)
        eer, _ = curve_eer(curve)
        mark = partial(_mark_point, axes, ticks, line.get_color())
        mark("o", eer, eer, f"{name}: EER {100.0 * eer:.2f} %")
        for p_target in p_targets:
            cost, threshold = curve_min_dcf(curve, p_target)
            point = np.searchsorted(curve.thresholds, threshold)
            label = f"{name}: minDCF({p_target:g}) {cost:.3f}"
            mark("^", curve.false_alarm[point], curve.miss[point], label)
    axes.legend(loc="upper right", fontsize="small")
    return figure


def score_histogram_figure(scores, is_client, threshold=None):
    """Draws how the scores of clients and of impostors are distributed.

    Arguments
    ---------
    scores : array_like
        (num_trials,), finite.
    is_client : array_like of bool
        (num_trials,); both classes must be there.
    threshold : float, optional
        Marked by a line.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Bars of the share of each class, in percent.
    """
    # In float32, nearly equal scores leave no room for the edges of the bins.
    scores, is_client = np.asarray(scores, np.float64), np.asarray(is_client)
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    edges = np.histogram_bin_edges(scores, bins=_num_bins(is_client))
    for name, chosen in (("impostors", ~is_client), ("clients", is_client)):
        counts, _ = np.histogram(scores[chosen], edges)
        total = np.count_nonzero(chosen)
        axes.stairs(
            100.0 * counts / total, edges, fill=True, alpha=0.5, label=f"{name} ({total:,})"
        )
    if threshold is not None:
        axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.4f}")
    axes.set_xlabel("Score")
    axes.set_ylabel("Trials of the class [%]")
    axes.legend()
    return figure


def _num_bins(is_client):
    """Rice's rule for the smaller class, within what is readable."""
    num_clients = int(np.count_nonzero(is_client))
    smaller = min(num_clients, len(is_client) - num_clients)
    return int(np.clip(2.0 * np.cbrt(smaller), 10, 100))


def _det_ticks(curves):
    """The ticks of both axes, as fractions; the first and the last are the limits.

    Down to the smallest rate above 0, but not far below the best EER.
    """
    eers = [curve_eer(curve)[0] for curve in curves]
    rates = [rate for curve in curves for rate in (curve.miss, curve.false_alarm)]
    smallest = min(rate[rate > 0.0].min() for rate in rates)
    low = np.clip(max(smallest, min(eers) / 100.0), TICKS[0], 0.01)
    if max(eers) < 0.3:
        return TICKS[np.searchsorted(TICKS, low, side="right") - 1 :]
    first = np.searchsorted(WIDE_TICKS, low, side="right") - 1
    return WIDE_TICKS[first : len(WIDE_TICKS) - first]


def _draw_det_axes(axes, ticks):
    limits = ndtri((ticks[0], ticks[-1]))
    labels = [f"{100.0 * tick:g}" for tick in ticks]
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.set_xticks(ndtri(ticks), labels)
    axes.set_yticks(ndtri(ticks), labels)
    axes.set_xlabel("False alarms: impostors accepted [%]")
    axes.set_ylabel("Misses: clients rejected [%]")
    axes.grid(alpha=0.3)
    axes.plot(limits, limits, color="grey", linewidth=0.8, linestyle=":")


def _draw_det_curve(axes, curve, ticks):
    shown = _shown_points(curve, ticks)
    miss, false_alarm = curve.miss[shown], curve.false_alarm[shown]
    # The line goes through its EER also where tied scores make a slanting step of it.
    crossing = np.argmax(miss >= false_alarm)
    eer, _ = curve_eer(curve)
    miss, false_alarm = np.insert(miss, crossing, eer), np.insert(false_alarm, crossing, eer)
    # A rate of 0 lies on the edge.
    bounds = ticks[0], 1.0 - ticks[0]
    return axes.plot(ndtri(np.clip(false_alarm, *bounds)), ndtri(np.clip(miss, *bounds)))[0]


def _mark_point(axes, ticks, color, marker, false_alarm, miss, label):
    """A point outside the picture is marked at its edge."""
    x, y = ndtri(np.clip((false_alarm, miss), ticks[0], ticks[-1]))
    axes.plot(x, y, marker, color=color, label=label, clip_on=False, zorder=3)


def _shown_points(curve, ticks):
    """Indices of the points that make a difference in the picture."""
    last = len(curve.thresholds) - 1
    if last <= 2 * POINTS_PER_AXIS:
        return np.arange(last + 1)
    rates = ndtr(np.linspace(*ndtri((ticks[0], ticks[-1])), POINTS_PER_AXIS))
    after_miss = np.searchsorted(curve.miss, rates)
    after_alarm = len(curve.thresholds) - np.searchsorted(curve.false_alarm[::-1], rates)
    after = np.clip(np.concatenate((after_miss, after_alarm)), 1, last)
    # Both ends of each step, so that it stays a step.
    return np.unique(np.concatenate(([0, last], after - 1, after)))


def _save(figure, path):
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI)
