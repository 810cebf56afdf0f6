"""Error rates to the figures of a verification: a dictionary, printed and kept as JSON."""

import json
from typing import NamedTuple

import numpy as np

from local.atomic import replacing
from local.errors import InputError
from local.evaluation.cllr import cllr, convex_hull, min_cllr
from local.evaluation.metrics import (
    bayes_threshold,
    curve_act_dcf,
    curve_eer,
    curve_min_dcf,
    detection_curve,
)

# The counts of a summary, and what a table calls them.
COUNTS = [("num_trials", "trials"), ("num_clients", "  clients"), ("num_impostors", "  impostors")]


class Costs(NamedTuple):
    """The priors at which detection costs are reported, and the costs of the two errors."""

    p_targets: tuple = (0.01, 0.05)
    c_miss: float = 1.0
    c_false_alarm: float = 1.0

    def check(self):
        """Raises an InputError if a prior is no probability, or a cost is not above 0."""
        if not self.p_targets or len(set(self.p_targets)) < len(self.p_targets):
            raise InputError(f"p_targets: expected different priors, not {list(self.p_targets)}")
        for _, cost in self.each():
            try:
                bayes_threshold(*cost)
            except (TypeError, ValueError) as error:
                raise InputError(f"p_targets, c_miss or c_false_alarm: {error}") from error

    def each(self):
        """(prior, the arguments of `local.evaluation.metrics.curve_min_dcf`) for each prior."""
        return [(p, (p, self.c_miss, self.c_false_alarm)) for p in self.p_targets]


DEFAULT_COSTS = Costs()


def figures(curve, hull, cllr_bits, costs):
    """The numbers that a verification is judged by.

    Arguments
    ---------
    curve, hull : local.evaluation.metrics.DetectionCurve
        The second is the `local.evaluation.cllr.convex_hull` of the first.
    cllr_bits : float
        The Cllr of the same trials.
    costs : Costs

    Returns
    -------
    figures : dict
        eer_percent (where the steps cross), eer_hull_percent; for each prior min_dcf_PRIOR and
        act_dcf_PRIOR, normalised; cllr, min_cllr.
    """
    values = {
        "eer_percent": 100.0 * curve_eer(curve)[0],
        "eer_hull_percent": 100.0 * curve_eer(hull)[0],
    }
    for p_target, cost in costs.each():
        values[f"min_dcf_{p_target}"] = curve_min_dcf(hull, *cost)[0]
        values[f"act_dcf_{p_target}"] = curve_act_dcf(curve, *cost)[0]
    return values | {"cllr": cllr_bits, "min_cllr": min_cllr(hull)}


def thresholds(curve, costs):
    """The thresholds of the EER and, for each prior, of the minimum and the actual cost."""
    values = {"eer_threshold": curve_eer(curve)[1]}
    for p_target, cost in costs.each():
        values[f"min_dcf_{p_target}_threshold"] = curve_min_dcf(curve, *cost)[1]
        values[f"act_dcf_{p_target}_threshold"] = curve_act_dcf(curve, *cost)[1]
    return values


def summarise(scores, is_client, curve=None, costs=DEFAULT_COSTS):
    """Counts, costs, `figures` and `thresholds` of scored trials, as plain values.

    Arguments
    ---------
    scores, is_client : array_like
        (num_trials,)
    curve : local.evaluation.metrics.DetectionCurve, optional
        That of these scores, if it was computed before.
    costs : Costs

    Example
    -------
    >>> summary = summarise([0.2, 0.4, 0.6, 0.8], [False, True, False, True])
    >>> summary["num_trials"], summary["eer_percent"], summary["min_dcf_0.01"]
    (4, 50.0, 0.5)
    """
    curve = curve or detection_curve(scores, is_client)
    return (
        count(is_client)
        | costs._asdict()
        | figures(curve, convex_hull(curve), cllr(scores, is_client), costs)
        | thresholds(curve, costs)
    )


def count(is_client):
    """num_trials, num_clients and num_impostors."""
    num_trials, num_clients = len(is_client), int(np.count_nonzero(is_client))
    num_impostors = num_trials - num_clients
    return dict(num_trials=num_trials, num_clients=num_clients, num_impostors=num_impostors)


def format_summary(summary):
    """The table to print: counts, then each figure with its interval and threshold, aligned.

    The summary is that of `summarise`; `local.evaluation.evaluate` adds the intervals.
    """
    lines = [_line(summary, *row) for row in [*COUNTS, *summary_rows(summary)]]
    if summary.get("num_draws"):
        lines.append(
            f"[95 % intervals, of {summary['num_draws']:,} draws of {summary['num_speakers']} "
            f"speakers: {summary['speakers_from']}]"
        )
    return "\n".join(lines)


def format_table(summaries):
    """The table to print of several lists: a line for each, with its main figures, aligned.

    Arguments
    ---------
    summaries : dict
        The name of a list -> its summary, as for `format_summary`, at the same priors.

    Example
    -------
    >>> summary = summarise([0.2, 0.4, 0.6, 0.8], [False, True, False, True])
    >>> print(format_table({"one": summary | {"is_calibrated": False}}))
         trials  EER %   minDCF (p = 0.01)  minDCF (p = 0.05)
    one  4       50.000  0.5000             0.5000
    """
    first, *_ = summaries.values()
    starts = ("eer_percent", "min_dcf", *(("act_dcf", "cllr") if first["is_calibrated"] else ()))
    rows = [row for row in summary_rows(first) if row[0].startswith(starts)]
    titles = [f"{title} %" if key.endswith("_percent") else title for key, title in rows]
    grid = [["", "trials", *titles]]
    for name, summary in summaries.items():
        keys = ["num_trials", *(key for key, _ in rows)]
        cells = [f"{number_text(key, summary[key])} {_interval(summary, key)}" for key in keys]
        grid.append([name, *map(str.rstrip, cells)])
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = [map(str.ljust, line, widths) for line in grid]
    if any(summary.get("intervals") for summary in summaries.values()):
        lines.append(["[95 % intervals, of draws of the speakers]"])
    return "\n".join("  ".join(line).rstrip() for line in lines)


def summary_rows(summary):
    """The figures of a summary in the order of a table: (key, what it is called)."""
    rows = [("eer_percent", "EER"), ("eer_hull_percent", "  of the hull")]
    for prior in summary["p_targets"]:
        rows += [(f"{kind}_dcf_{prior}", f"{kind}DCF (p = {prior})") for kind in ("min", "act")]
    return [*rows, ("cllr", "Cllr"), ("min_cllr", "  minimum")]


def _line(summary, key, name):
    threshold = summary.get(threshold_key(key))
    at = f"at threshold {threshold:.4f}" if threshold is not None else ""
    unit = "%" if key.endswith("_percent") else " "
    interval = _interval(summary, key)
    return f"{name:<18}{number_text(key, summary[key]):>9} {unit}  {interval:<18} {at}".rstrip()


def _interval(summary, key):
    low_high = summary.get("intervals", {}).get(key)
    return f"[{', '.join(number_text(key, end) for end in low_high)}]" if low_high else ""


def number_text(key, value):
    """A number of a summary as it is shown, without its unit.

    Example
    -------
    >>> number_text("num_trials", 1200), number_text("eer_percent", 1.5), number_text("cllr", 0.25)
    ('1,200', '1.500', '0.2500')
    """
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if key.endswith("_percent") else f"{value:.4f}"


def threshold_key(key):
    """The key of the threshold of a figure: "eer_threshold" for "eer_percent"."""
    return f"{key.removesuffix('_percent')}_threshold"


def write_json(path, content):
    """Writes a dictionary of plain values as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")
