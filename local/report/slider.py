"""A detection curve to the points that the report's threshold slider knows, for its script."""

import numpy as np
from scipy.special import ndtr, ndtri

from local.evaluation.cllr import convex_hull
from local.evaluation.metrics import point_at

# Of more thresholds, only some are kept: nobody can tell more apart, and the page stays small.
MAX_POINTS = 2000
POINTS_PER_RATE = 700

# What the script needs of a summary.
COPIED = ("num_clients", "num_impostors", "c_miss", "c_false_alarm")
# The axes of the slider's DET curve.
_TICKS = np.array([0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999])


def slider_data(system):
    """The points of a `local.evaluation.evaluate.Evaluation`, as numbers and texts for JSON.

    Returns
    -------
    data : dict
        name, num_clients, num_impostors, c_miss, c_false_alarm; decimals: those of a threshold;
        is_complete: whether these are all thresholds of the curve. For each point, ascending:
        thresholds, num_missed, num_accepted, and x and y, its place in a DET curve in percent of
        the width. marks: from `_marks`.
    """
    curve, summary = system.curve, system.summary
    marks = _marks(summary)
    marked = [point_at(curve, mark["threshold"]) for mark in marks]
    points = shown_points(curve, marked)
    for mark, point in zip(marks, marked, strict=True):
        mark["point"] = int(np.searchsorted(points, point))
    counts = {
        "num_missed": curve.miss[points] * summary["num_clients"],
        "num_accepted": curve.false_alarm[points] * summary["num_impostors"],
    }
    return {
        **{name: summary[name] for name in COPIED},
        "name": system.name,
        "decimals": score_decimals(curve.thresholds[0], curve.thresholds[-1]),
        "is_complete": len(points) == len(curve.thresholds),
        "thresholds": curve.thresholds[points].tolist(),
        **{name: np.rint(values).astype(int).tolist() for name, values in counts.items()},
        "x": _place(curve.false_alarm[points]).tolist(),
        "y": (100.0 - _place(curve.miss[points])).tolist(),
        "marks": marks,
    }


def shown_points(curve, marked=()):
    """Ascending indices of the points to show: all of a curve, or about 1,500 of a long one.

    The 1,500 lie evenly in both error rates on a normal-deviate scale. The ends, the marked points
    and the vertices of the convex hull, which have the lowest cost of each prior, are among them.
    """
    last = len(curve.thresholds) - 1
    if last < MAX_POINTS:
        return np.arange(last + 1)
    vertices = np.searchsorted(curve.thresholds, convex_hull(curve).thresholds)
    rates = ndtr(np.linspace(-5.5, 5.5, POINTS_PER_RATE))
    at_miss = np.searchsorted(curve.miss, rates)
    at_alarm = last - np.searchsorted(curve.false_alarm[::-1], rates)
    evenly = np.clip(np.concatenate((at_miss, at_alarm)), 0, last)
    return np.unique(np.concatenate(([0, last], vertices, evenly, marked))).astype(int)


def score_decimals(lowest, highest):
    """The number of decimals that tell scores apart: four, or more if they lie close together.

    Example
    -------
    >>> score_decimals(-0.3, 0.9), score_decimals(0.52, 0.54), score_decimals(0.5, 0.5)
    (4, 5, 4)
    """
    span = float(highest) - float(lowest)
    return int(np.clip(3 - np.floor(np.log10(span)), 4, 12)) if span > 0.0 else 4


def _marks(summary):
    """The targets of the buttons: name, label, threshold and, for costs, p_target."""
    marks = [{"name": "eer", "label": "EER", "threshold": summary["eer_threshold"]}]
    for kind, label in (("min_dcf", "minDCF"), ("act_dcf", "actDCF")):
        for p_target in summary["p_targets"]:
            name = f"{kind}_{p_target}"
            mark = {"name": name, "label": f"{label} (p = {p_target})", "p_target": p_target}
            marks.append(mark | {"threshold": summary[f"{name}_threshold"]})
    return marks


def _place(rates):
    """The places of rates on an axis, from 0 to 100; rates outside of it are at its ends."""
    low, high = ndtri(_TICKS[[0, -1]])
    deviates = ndtri(np.clip(rates, _TICKS[0], _TICKS[-1]))
    return np.round(100.0 * (deviates - low) / (high - low), 2)


# (place, label in percent) for both axes.
SLIDER_TICKS = [
    (float(place), f"{100.0 * tick:g}") for place, tick in zip(_place(_TICKS), _TICKS, strict=True)
]
