"""Detection curves to a picture: miss over false-alarm rate on normal-deviate axes (DET)."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure
from scipy.special import ndtri

from local.evaluation.intervals import BAND_RATES
from local.evaluation.metrics import curve_act_dcf, curve_eer, curve_min_dcf, point_at
from local.report.slider import shown_points

# Rates, as fractions, that can be a tick or a limit of an axis: for systems that work, and for
# systems near chance or worse, whose picture reaches as far to the right of 50 % as to the left.
TICKS = np.array([1e-5, 1e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6])
WIDE_TICKS = np.array(
    [1e-5, 1e-4, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999, 0.9999, 0.99999]
)
# The bands of more systems would hide each other.
MOST_WITH_BANDS = 2


def det_figure(curves, costs=None, intervals=None, calibrated=()):
    """Draws detection error trade-off (DET) curves: a matplotlib Figure.

    Scores of two normal distributions give a straight line. A rate of 0 lies on the edge.

    Arguments
    ---------
    curves : dict of str to local.evaluation.metrics.DetectionCurve
        The name of each system (for the legend) and its curve.
    costs : local.evaluation.summary.Costs, optional
        Their points of minimum cost are marked, beside the EER.
    intervals : dict of str to local.evaluation.intervals.Intervals, optional
        Drawn as a band around the curve, and a bar through its EER.
    calibrated : sequence of str
        Systems whose scores are log-likelihood ratios: their actual decisions are marked, too.
    """
    ticks = _det_ticks(curves.values())
    # The legend of several systems stands below the axes, and takes some room.
    height = 6.0 if len(curves) == 1 else 5.9 + 0.3 * len(curves)
    figure = Figure(figsize=(6.0, height), layout="constrained")
    axes = figure.add_subplot()
    _draw_det_axes(axes, ticks)
    for name, curve in curves.items():
        line = _draw_det_curve(axes, curve, ticks)
        mark = partial(_mark_point, axes, ticks, line.get_color())
        eer, _ = curve_eer(curve)
        label = f"{name}: EER {100.0 * eer:.2f} %"
        found = (intervals or {}).get(name)
        if found and found.draws:
            label += " [{:.2f}, {:.2f}]".format(*found.limits()["eer_percent"])
            if len(curves) <= MOST_WITH_BANDS:
                _draw_intervals(axes, found, ticks, line.get_color())
        mark("o", eer, eer, label)
        if costs:
            _mark_costs(mark, name, curve, costs, name in calibrated)
    if len(curves) == 1:
        axes.legend(loc="upper right", fontsize="small")
    else:
        figure.legend(loc="outside lower center", fontsize="small", ncols=2)
    return figure


def _mark_costs(mark, name, curve, costs, is_calibrated):
    kinds = [("min", "^", curve_min_dcf), ("act", "x", curve_act_dcf)]
    for kind, marker, curve_dcf in kinds if is_calibrated else kinds[:1]:
        for p_target, cost in costs.each():
            value, threshold = curve_dcf(curve, *cost)
            point = point_at(curve, threshold)
            label = f"{name}: {kind}DCF({p_target:g}) {value:.3f}"
            mark(marker, curve.false_alarm[point], curve.miss[point], label)


def _draw_intervals(axes, intervals, ticks, color):
    """The band around the curve, and the bar through its EER."""
    bounds = ticks[0], 1.0 - ticks[0]
    low, high = ndtri(np.clip(intervals.band, *bounds))
    rates = ndtri(np.clip(BAND_RATES, *bounds))
    axes.fill_between(rates, low, high, color=color, alpha=0.15, linewidth=0)
    limits = intervals.limits()["eer_percent"]
    ends = ndtri(np.clip(np.array(limits) / 100.0, *bounds))
    axes.plot(ends, ends, color=color, linewidth=3.0, alpha=0.6, solid_capstyle="butt")


def _det_ticks(curves):
    """The ticks of both axes, as fractions; the first and the last are the limits.

    They reach down to the smallest rate above 0, but not far below the best EER.
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
    shown = shown_points(curve)
    miss, false_alarm = curve.miss[shown], curve.false_alarm[shown]
    # The line has a point at the EER, also inside of a slanting step of tied scores.
    crossing = np.argmax(miss >= false_alarm)
    eer, _ = curve_eer(curve)
    miss, false_alarm = np.insert(miss, crossing, eer), np.insert(false_alarm, crossing, eer)
    bounds = ticks[0], 1.0 - ticks[0]
    return axes.plot(ndtri(np.clip(false_alarm, *bounds)), ndtri(np.clip(miss, *bounds)))[0]


def _mark_point(axes, ticks, color, marker, false_alarm, miss, label):
    """A point outside the picture is marked at its edge."""
    x, y = ndtri(np.clip((false_alarm, miss), ticks[0], ticks[-1]))
    axes.plot(x, y, marker, color=color, label=label, clip_on=False, zorder=3)
