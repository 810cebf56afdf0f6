"""Evaluations to the tables of the report: the keys and labels of lines, the rows of conditions."""

COUNTS = [
    ("num_trials", "Trials", ""),
    ("num_clients", "Clients", ""),
    ("num_impostors", "Impostors", ""),
    ("num_speakers", "Speakers", ""),
]
# The tables of conditions have no room for these.
ONLY_IN_SUMMARY = ("num_speakers", "eer_hull_percent")


def table_lines(systems):
    """The lines of the summary: (key in metrics.json, label, remark), in the order of the table.

    They have the costs at all priors of these `local.evaluation.evaluate.Evaluation`s.
    """
    costs = []
    for p in dict.fromkeys(p for system in systems for p in system.summary["p_targets"]):
        at = f"(p = {p})".replace(" ", "\N{NO-BREAK SPACE}")
        costs += [
            (f"min_dcf_{p}", f"minDCF {at}", "the lowest cost of any threshold"),
            (f"act_dcf_{p}", f"actDCF {at}", "the cost at the Bayes threshold"),
        ]
    return [
        *COUNTS,
        ("eer_percent", "EER", "where the steps of both rates cross"),
        ("eer_hull_percent", "EER of the hull", "on the convex hull of the ROC"),
        *costs,
        ("cllr", "Cllr", "in bits"),
        ("min_cllr", "minimum Cllr", "after the best increasing map"),
    ]


def condition_tables(systems):
    """The heading of each table of conditions -> its rows: (condition, index of system, values).

    The values are those of a row in metrics.json. All systems of a condition stand together.
    """
    tables = {}
    for index, system in enumerate(systems):
        for heading, rows in system.summary["conditions"].items():
            found = tables.setdefault(heading, {})
            for row in rows:
                found.setdefault(row["name"], []).append((row["name"], index, row))
    return {
        heading: [row for rows in found.values() for row in rows]
        for heading, found in tables.items()
    }
