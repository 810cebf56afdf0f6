"""The tables of the report: numbers with their intervals and thresholds, as text."""

from typing import NamedTuple

from local.report.slider import score_decimals

COUNTS = {
    "num_trials": "Trials",
    "num_clients": "Clients",
    "num_impostors": "Impostors",
    "num_speakers": "Speakers",
}
# What takes the scores for log-likelihood ratios.
NEEDS_CALIBRATION = ("act_dcf", "cllr")


class Row(NamedTuple):
    """A line of a table.

    Arguments
    ---------
    label, remark : str
    cells : list of Cell
    """

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
        The value, the ends of its interval and its threshold as shown; "" if there is none.
    needs_calibration : bool
        Whether it is about log-likelihood ratios, and the scores are none.
    """

    key: str
    value: float | int | None
    text: str
    interval: str = ""
    threshold: str = ""
    needs_calibration: bool = False


class ConditionTable(NamedTuple):
    """What conditions give, each with each system.

    Arguments
    ---------
    heading : str
    columns : list of str
    rows : list of tuple
        (name of the condition, name of the system, list of Cell).
    """

    heading: str
    columns: list
    rows: list


def summary_table(systems):
    """The lines of the summary, with a cell for each system.

    Arguments
    ---------
    systems : sequence of local.evaluation.evaluate.Evaluation

    Returns
    -------
    rows : list of Row
    """
    figures = _figures(_all_p_targets(systems))
    rows = [(key, label, "") for key, label in COUNTS.items()] + figures
    return [
        Row(label, remark, [_cell(system.summary, key, _decimals(system)) for system in systems])
        for key, label, remark in rows
    ]


def condition_tables(systems):
    """A table for each heading of conditions, in the order in which the systems have them.

    Arguments
    ---------
    systems : sequence of local.evaluation.evaluate.Evaluation

    Returns
    -------
    tables : list of ConditionTable
        Empty without conditions.
    """
    headings = dict.fromkeys(h for system in systems for h in system.summary["conditions"])
    return [_condition_table(heading, systems) for heading in headings]


def interval_remark(systems):
    """What the intervals are; "" if there are none."""
    summary = next((s.summary for s in systems if s.summary["intervals"]), None)
    if summary is None:
        return ""
    draws = f" in {summary['num_draws']:,} draws" if summary.get("num_draws") else ""
    return (
        "The smaller numbers, low to high, are the 95 % interval, found by drawing the speakers "
        f"again{draws} (bootstrap over speakers: the trials of one are not independent)."
    )


def _all_p_targets(systems):
    return list(dict.fromkeys(p for system in systems for p in system.summary["p_targets"]))


def _figures(p_targets):
    """(key, label, remark) of the figures that systems are judged by."""
    costs = []
    for p in p_targets:
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
    figures = [row for row in _figures(_all_p_targets(systems)) if row[0] != "eer_hull_percent"]
    columns = {key: label for key, label in COUNTS.items() if key != "num_speakers"}
    columns |= {key: label for key, label, _ in figures}
    found = [
        (values["name"], system, values)
        for system in systems
        for values in system.summary["conditions"].get(heading, ())
    ]
    names = dict.fromkeys(name for name, _, _ in found)
    found.sort(key=lambda row: list(names).index(row[0]))
    rows = [
        (name, system.name, [_condition_cell(system, values, key) for key in columns])
        for name, system, values in found
    ]
    return ConditionTable(heading, list(columns.values()), rows)


def _condition_cell(system, values, key):
    """Without the threshold, which has no room there."""
    values = {"is_calibrated": system.summary["is_calibrated"]} | values
    return _cell(values, key, _decimals(system))._replace(threshold="")


def _cell(values, key, decimals):
    value = values.get(key)
    if value is None:
        return Cell(key, None, "–")
    ends = values.get("intervals", {}).get(key)
    threshold = values.get(f"{key.removesuffix('_percent')}_threshold")
    return Cell(
        key,
        value,
        _text(key, value),
        _interval_text(key, ends) if ends else "",
        f"{threshold:.{decimals}f}" if threshold is not None else "",
        key.startswith(NEEDS_CALIBRATION) and not values["is_calibrated"],
    )


def _decimals(system):
    return score_decimals(system.curve.thresholds[0], system.curve.thresholds[-1])


def _interval_text(key, ends):
    low, high = (_text(key, end) for end in ends)
    return f"{low.removesuffix(' %')} to {high}"


def _text(key, value):
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f} %" if key.endswith("_percent") else f"{value:.4f}"
