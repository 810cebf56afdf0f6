"""The figures of a verification: collected, printed, kept as JSON."""

import json

import numpy as np

from local.atomic import replacing
from local.metrics import curve_eer, curve_min_dcf, detection_curve

# Priors of a client trial at which minDCF is reported.
P_TARGETS = (0.01, 0.05)


def summarise(scores, is_client, curve=None):
    """Counts, EER and minDCF of scored trials.

    Arguments
    ---------
    scores : array_like
        (num_trials,)
    is_client : array_like of bool
        (num_trials,)
    curve : local.metrics.DetectionCurve, optional
        That of these scores, if it is there already (a plot needs it too).

    Returns
    -------
    summary : dict
        Plain numbers: num_trials, num_clients, num_impostors, eer_percent, eer_threshold, and for
        each prior of `P_TARGETS` min_dcf_PRIOR (normalised, at most 1) and
        min_dcf_PRIOR_threshold.

    Example
    -------
    >>> summary = summarise([0.2, 0.4, 0.6, 0.8], [False, True, False, True])
    >>> summary["num_trials"], summary["eer_percent"], summary["min_dcf_0.01"]
    (4, 50.0, 0.5)
    """
    curve = curve or detection_curve(scores, is_client)
    num_clients = int(np.count_nonzero(is_client))
    eer, eer_threshold = curve_eer(curve)
    summary = {
        "num_trials": len(scores),
        "num_clients": num_clients,
        "num_impostors": len(scores) - num_clients,
        "eer_percent": 100.0 * eer,
        "eer_threshold": eer_threshold,
    }
    for p_target in P_TARGETS:
        cost, threshold = curve_min_dcf(curve, p_target)
        summary[f"min_dcf_{p_target}"] = cost
        summary[f"min_dcf_{p_target}_threshold"] = threshold
    return summary


def format_summary(summary):
    """The table to print: a line for each figure of `summarise`, aligned.

    Example
    -------
    >>> print(format_summary(summarise([0.2, 0.4, 0.6, 0.8], [False, True, False, True])))
    trials                     4
      clients                  2
      impostors                2
    EER                   50.000 %  at threshold 0.6000
    minDCF (p = 0.01)     0.5000    at threshold 0.8000
    minDCF (p = 0.05)     0.5000    at threshold 0.8000
    """
    lines = [
        f"trials            {summary['num_trials']:>10,}",
        f"  clients         {summary['num_clients']:>10,}",
        f"  impostors       {summary['num_impostors']:>10,}",
        f"EER               {summary['eer_percent']:>10.3f} %  "
        f"at threshold {summary['eer_threshold']:.4f}",
    ]
    for p_target in P_TARGETS:
        cost, threshold = summary[f"min_dcf_{p_target}"], summary[f"min_dcf_{p_target}_threshold"]
        lines.append(f"minDCF (p = {p_target}) {cost:>10.4f}    at threshold {threshold:.4f}")
    return "\n".join(lines)


def write_metrics(path, metrics):
    """Writes a dictionary of plain values as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
