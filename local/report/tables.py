"""Evaluations to the tables of the report: numbers with intervals and thresholds, as text."""

from typing import NamedTuple

from local.report.slider import score_decimals

COUNTS = {
    "num_trials": "Trials",
    "num_clients": "Clients",
    "num_impostors": "Impostors",
    "num_speakers": "Speakers",
}
# These figures take the scores for log-likelihood ratios.
NEEDS_CALIBRATION = ("act_dcf", "cllr")


class Row(NamedTuple):
    """A line of the summary: a Cell for each system."""

    label: str
    remark: str
    cells: list


class Cell(NamedTuple):
    """A number in a table.

    Arguments
    ---------
    key : str
        Its name in metrics.json.
    value : float or int or None
        None if it is not known.
    text, interval, threshold : str
        As they are shown; "" if there is none.
    needs_calibration : bool
        Whether it takes the scores for log-likelihood ratios, though nothing calibrated them.
    """

    key: str
    value: float | int | None
    text: str
    interval: str = ""
    threshold: str = ""
    needs_calibration: bool = False


class ConditionTable(NamedTuple):
    """Conditions with their figures, in rows of (condition, name of the system, list of Cell)."""

    heading: str
    columns: list
    rows: list


def summary_table(systems):
    """The lines of the summary of `local.evaluation.evaluate.Evaluation`s: a list of Row."""
    rows = [(key, label, "") for key, label in COUNTS.items()] + _figures(systems)
    return [
        Row(label, remark, [_cell(system, system.summary, key) for system in systems])
        for key, label, remark in rows
    ]


def condition_tables(systems):
    """A ConditionTable for each heading of conditions, in the order in which systems have them."""
    headings = dict.fromkeys(h for system in systems for h in system.summary["conditions"])
    return [_condition_table(heading, systems) for heading in headings]


def interval_remark(systems):
    """A sentence on what the intervals are; "" if there are none."""
    summary = next((s.summary for s in systems if s.summary["intervals"]), None)
    if summary is None:
        return ""
    draws = f" in {summary['num_draws']:,} draws" if summary.get("num_draws") else ""
    return (
        "The smaller numbers, low to high, are the 95 % interval, found by drawing the speakers "
        f"again{draws} (bootstrap over speakers, as the trials of a speaker are not independent)."
    )


def _figures(systems):
    """(key, label, remark) of the figures that systems are judged by."""
    costs = []
    for p in dict.fromkeys(p for system in systems for p in system.summary["p_targets"]):
        at = f"(p = {p})".replace(" ", "\N{NO-BREAK SPACE}")
        costs += [
            (f"min_dcf_{p}", f"minDCF {at}", "the lowest cost of any threshold"),
            (f"act_dcf_{p}", f"actDCF {at}", "the cost at the Bayes threshold"),
        ]
    return [
        ("eer_percent", "EER", "where the steps of both rates cross"),
        ("eer_hull_percent", "EER of the hull", "on the convex hull of the ROC"),
        *costs,
        ("cllr", "Cllr", "in bits"),
        ("min_cllr", "minimum Cllr", "after the best increasing map"),
    ]


def _condition_table(heading, systems):
    columns = COUNTS | {key: label for key, label, _ in _figures(systems)}
    del columns["num_speakers"], columns["eer_hull_percent"]
    found = [
        (values["name"], system, values)
        for system in systems
        for values in system.summary["conditions"].get(heading, ())
    ]
    # All systems of a condition stand together.
    names = list(dict.fromkeys(name for name, _, _ in found))
    found.sort(key=lambda row: names.index(row[0]))
    # Thresholds have no room there.
    rows = [
        (name, system.name, [_cell(system, values, key)._replace(threshold="") for key in columns])
        for name, system, values in found
    ]
    return ConditionTable(heading, list(columns.values()), rows)


def _cell(system, values, key):
    """A figure of a summary, or of the values of a condition."""
    value = values.get(key)
    if value is None:
        return Cell(key, None, "–")
    ends = values.get("intervals", {}).get(key)
    interval = " to ".join(_text(key, end) for end in ends).replace(" % to", " to") if ends else ""
    threshold = values.get(f"{key.removesuffix('_percent')}_threshold")
    if threshold is not None:
        decimals = score_decimals(system.curve.thresholds[0], system.curve.thresholds[-1])
        threshold = f"{threshold:.{decimals}f}"
    needs_calibration = not system.summary["is_calibrated"] and key.startswith(NEEDS_CALIBRATION)
    return Cell(key, value, _text(key, value), interval, threshold or "", needs_calibration)


def _text(key, value):
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f} %" if key.endswith("_percent") else f"{value:.4f}"
