"""Confidence intervals of error rates, by drawing the speakers again.

Trials of one speaker are not independent: drawing trials would promise intervals that are several
times too narrow. A draw takes as many speakers as there are, with replacement. A client trial then
counts as often as its speaker was drawn, an impostor trial as often as the one speaker times as
often as the other: as if those people had been recorded.
"""

import numpy as np

from local.evaluation.cllr import llr_costs
from local.evaluation.metrics import DetectionCurve

# Of millions of trials, only the curve at every so many thresholds is counted anew.
MAX_THRESHOLDS = 100_000


class DrawnTrials:
    """Trials whose speakers are drawn: sorted once, counted anew in each draw.

    Arguments
    ---------
    thresholds : np.ndarray
        (num_thresholds,), those of the `local.evaluation.metrics.DetectionCurve` of the trials.
    scores : np.ndarray
        (num_trials,)
    is_client : np.ndarray
        bool (num_trials,)
    enrol_speaker, test_speaker : np.ndarray
        int (num_trials,), indices of speakers.
    """

    def __init__(self, thresholds, scores, is_client, enrol_speaker, test_speaker):
        # The last one is kept: it accepts nothing.
        every = -(-len(thresholds) // MAX_THRESHOLDS)
        thresholds = self.thresholds = thresholds[::-1][::every][::-1]
        costs = llr_costs(scores, is_client)
        speakers = np.stack([enrol_speaker, test_speaker])
        self._clients = _SortedClass(scores, costs, speakers[:1], is_client, thresholds)
        self._impostors = _SortedClass(scores, costs, speakers, ~is_client, thresholds)

    def draw(self, counts):
        """The trials of a draw, or None if a class is empty in it.

        Arguments
        ---------
        counts : np.ndarray
            float64 (num_speakers,): how often each speaker was drawn.

        Returns
        -------
        curve : local.evaluation.metrics.DetectionCurve
        cllr : float
        """
        clients, impostors = self._clients.weigh(counts), self._impostors.weigh(counts)
        if clients is None or impostors is None:
            return None
        (miss, client_cost), (correct, impostor_cost) = clients, impostors
        curve = DetectionCurve(self.thresholds, miss, 1.0 - correct)
        return curve, 0.5 * float(client_cost + impostor_cost)


class _SortedClass:
    """The trials of one class, by score."""

    def __init__(self, scores, costs, speakers, chosen, thresholds):
        chosen = np.flatnonzero(chosen)
        chosen = chosen[np.argsort(scores[chosen])]
        self.costs = costs[chosen]
        self.speakers = speakers[:, chosen]
        self.num_below = np.searchsorted(scores[chosen], thresholds)

    def weigh(self, counts):
        """The share of the trials below each threshold, and the mean cost; None without trials."""
        weights = counts[self.speakers[0]]
        for speakers in self.speakers[1:]:
            weights *= counts[speakers]
        sums = np.concatenate([[0.0], np.cumsum(weights)])
        if sums[-1] == 0.0:
            return None
        return sums[self.num_below] / sums[-1], weights @ self.costs / sums[-1]


def speaker_counts(num_speakers, num_draws, seed=0):
    """How often each speaker is drawn, draw by draw: the same for the same arguments.

    Yields
    ------
    counts : np.ndarray
        float64 (num_speakers,), whole numbers that sum to num_speakers.

    Example
    -------
    >>> [int(counts.sum()) for counts in speaker_counts(num_speakers=20, num_draws=2)]
    [20, 20]
    """
    rng = np.random.default_rng(seed)
    for _ in range(num_draws):
        drawn = rng.integers(num_speakers, size=num_speakers)
        yield np.bincount(drawn, minlength=num_speakers).astype(np.float64)
