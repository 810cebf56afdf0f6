"""What an ablation found to a picture: a dot for each seed, means, differences, intervals."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

_ROW_INCHES = 0.38
_MEAN = {"markersize": 14, "markeredgewidth": 2.5}


def ablation_figure(results):
    """Draws the EER of each run in a row, for each set of trials: a matplotlib Figure.

    On the left a dot for each seed, and the mean with its 95 % interval; on the right the
    difference to the reference with its interval, which is filled if zero is outside.

    Arguments
    ---------
    results : dict
        From `local.ablation.results.collect`; at least one run must be finished.
    """
    runs, sets = results["runs"], list(results["trial_sets"])
    height = 0.3 + len(sets) * (1.1 + _ROW_INCHES * len(runs))
    figure = Figure(figsize=(9.0, height), layout="constrained")
    axes = figure.subplots(len(sets), 2, sharey="row", squeeze=False, width_ratios=(3, 2))
    _add_legend(figure)
    for name, (left, right) in zip(sets, axes, strict=True):
        rows = [run["trial_sets"].get(name, {}).get("eer_percent") for run in runs.values()]
        _draw_values(left, rows, list(runs).index(results["reference"]))
        _draw_differences(right, rows)
        left.set_yticks(range(len(runs)), list(runs), fontsize="small")
        left.set_ylim(len(runs) - 0.5, -0.5)
        left.set_title(name, loc="left", fontsize="medium")
        left.set_xlabel("EER [%]")
        right.set_xlabel(f"EER [%], difference to {results['reference']}")
    return figure


def _add_legend(figure):
    marks = [
        Line2D([], [], marker="o", color="C1", linestyle="", markersize=4, label="a seed"),
        Line2D([], [], marker="|", color="C0", linestyle="", **_MEAN, label="their mean"),
        Line2D([], [], color="C0", linewidth=1.5, alpha=0.5, label="its 95 % interval"),
        Line2D([], [], marker="o", color="C3", linewidth=1.5, label="a difference"),
        Line2D([], [], marker="o", color="grey", markerfacecolor="white", label="unclear"),
    ]
    figure.legend(handles=marks, loc="outside upper center", ncols=5, fontsize="small")


def _draw_values(axes, rows, reference):
    for place, row in enumerate(rows):
        if row is None:
            continue
        if row["interval"]:
            axes.plot(row["interval"], [place, place], color="C0", linewidth=1.5, alpha=0.5)
        axes.plot(row["mean"], place, "|", color="C0", **_MEAN)
        values = list(row["values"].values())
        # Beside each other, where they would hide each other.
        shift = np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else [0.0]
        axes.plot(values, place + np.array(shift), "o", color="C1", markersize=4, alpha=0.8)
    if rows[reference]:
        axes.axvline(rows[reference]["mean"], color="grey", linewidth=0.8, linestyle=":")
    axes.grid(axis="x", alpha=0.3)


def _draw_differences(axes, rows):
    axes.axvline(0.0, color="grey", linewidth=0.8)
    for place, row in enumerate(rows):
        if row is None or row["difference"] is None:
            continue
        color = "C3" if row["is_clear"] else "grey"
        if row["difference_interval"]:
            axes.plot(row["difference_interval"], [place, place], color=color, linewidth=1.5)
        fill = color if row["is_clear"] else "white"
        axes.plot(row["difference"], place, "o", color=color, markerfacecolor=fill, markersize=6)
    axes.grid(axis="x", alpha=0.3)
