"""Scores to words, where their figures alone would mislead."""

import numpy as np

# Scores whose middle 98 % differ by less than this share of their size are nearly equal. Only
# with an EER from this one on: embeddings that share a large mean can still tell speakers apart.
NEARLY_EQUAL = 1e-3
COLLAPSED_EER_PERCENT = 20.0
GUESSING_EER_PERCENT = 45.0


def collapse_warning(scores, eer_percent):
    """What to say of scores that are all the same, or nearly; "" if they are not.

    Example
    -------
    >>> collapse_warning([0.5, 0.5], 50.0)[:33]
    'All scores are equal (0.500000): '
    >>> collapse_warning([0.25, 0.75], 0.0)
    ''
    """
    low, high = np.quantile(scores, [0.01, 0.99])
    if np.min(scores) == np.max(scores):
        what = f"All scores are equal ({low:.6f})"
    elif high - low <= NEARLY_EQUAL * max(abs(low), abs(high)) and (
        eer_percent >= COLLAPSED_EER_PERCENT
    ):
        what = f"Nearly all scores are equal (98 % of them from {low:.6f} to {high:.6f})"
    else:
        return ""
    return (
        f"{what}: they tell no speakers apart, and the error rates mean nothing. If a model gave "
        "them, its embeddings are alike whoever speaks: it has collapsed, or is hardly trained."
    )


def score_warnings(scores, eer_percent):
    """All that is to be said of scored trials with this EER: a list of texts."""
    collapse = collapse_warning(scores, eer_percent)
    if collapse:
        return [collapse]
    if eer_percent > 100.0 - GUESSING_EER_PERCENT:
        return [
            "Impostor trials score higher than client trials: are the two kinds confused in the "
            "lists, or are the scores distances?"
        ]
    if eer_percent >= GUESSING_EER_PERCENT:
        return ["The scores tell clients from impostors hardly better than guessing (EER 50 %)."]
    return []
