"""The best name for each recording, and who speaks there, to error rates of recognition."""

import numpy as np

from local.evaluation.metrics import eer


def open_set_figures(scores, is_right, is_known, threshold):
    """Error rates of finding out who of some people speaks, if anyone of them does.

    Arguments
    ---------
    scores : np.ndarray
        float32 (num_recordings,): of the best name.
    is_right, is_known : np.ndarray
        bool (num_recordings,): whether that is the name of the speaker, and whether the speaker is
        among the people.
    threshold : float or None
        From this score on, the answer is the best name, and below it "nobody".

    Returns
    -------
    figures : dict
        num_known, num_unknown: recordings of people and of strangers; identification_percent: of
        the known, those with the right best name, whatever its score; miss_percent: of the known,
        those that are answered with nobody or another name; false_alarm_percent: of the unknown,
        those that are answered with a name; equal_percent, equal_threshold: where the last two are
        equal. A figure that the recordings or the threshold don't give is left out.

    Example
    -------
    >>> scores, right = np.array([0.9, 0.6, 0.4, 0.5]), np.array([True, True, False, False])
    >>> figures = open_set_figures(scores, right, np.array([True, True, True, False]), 0.7)
    >>> [round(figures[f"{name}_percent"], 1) for name in ("identification", "miss", "false_alarm")]
    [66.7, 66.7, 0.0]
    """
    figures = {"num_known": int(is_known.sum()), "num_unknown": int((~is_known).sum())}
    is_right, is_accepted = is_right & is_known, threshold is not None and scores >= threshold
    if figures["num_known"]:
        figures["identification_percent"] = 100.0 * float(is_right[is_known].mean())
        if threshold is not None:
            is_found = (is_right & is_accepted)[is_known]
            figures["miss_percent"] = 100.0 * float(1.0 - is_found.mean())
    if figures["num_unknown"] and threshold is not None:
        figures["false_alarm_percent"] = 100.0 * float(is_accepted[~is_known].mean())
    if figures["num_known"] and figures["num_unknown"]:
        # Whoever goes by another name is missed at any threshold.
        below_all = np.nextafter(scores.min(), -np.inf, dtype=scores.dtype)
        rate, figures["equal_threshold"] = eer(
            np.where(is_right | ~is_known, scores, below_all), is_known
        )
        figures["equal_percent"] = 100.0 * rate
    return figures
