"""Scored trials to 95 % intervals of all their figures, by drawing the speakers again (bootstrap).

Trials of one speaker are not independent: drawing trials would promise intervals that are several
times too narrow. A draw takes as many speakers as there are, with replacement. A client trial then
counts as often as its speaker was drawn, an impostor trial as often as the one speaker times as
often as the other: as if those people had been recorded.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri
from tqdm import tqdm

from local.evaluation.cllr import convex_hull, llr_costs
from local.evaluation.metrics import DetectionCurve
from local.evaluation.summary import figures

PERCENTILES = (2.5, 97.5)
# A handful of speakers says too little about others for an interval.
MIN_SPEAKERS = 5
# A draw counts the errors of millions of trials at every so many thresholds only.
MAX_THRESHOLDS = 100_000
# False-alarm rates at which the interval of the curve is found.
BAND_RATES = ndtr(np.linspace(*ndtri((1e-5, 1.0 - 1e-5)), 200))


class Intervals(NamedTuple):
    """What the draws of speakers gave."""

    # The name of a figure -> its value in each draw, float64 (num_draws,). Empty if there are too
    # few speakers, or no draws were asked for.
    draws: dict
    band: np.ndarray | None  # (2, num_rates): lowest and highest miss rate at each of `BAND_RATES`

    def limits(self):
        """The name of a figure -> [low, high], plain numbers."""
        return {name: interval(values) for name, values in self.draws.items()}

    def num_draws(self):
        return len(next(iter(self.draws.values()), ()))


NO_INTERVALS = Intervals({}, None)


def interval(values):
    """The middle 95 % of what draws gave: [low, high].

    Example
    -------
    >>> interval(np.arange(1001))
    [25.0, 975.0]
    """
    return np.percentile(values, PERCENTILES).tolist()


def find_intervals(curve, trials, scores, speakers, costs, num_draws, progress=False):
    """Draws the speakers of trials, and computes all figures in each draw.

    Arguments
    ---------
    curve : local.evaluation.metrics.DetectionCurve
        Of these trials and scores.
    trials : local.lists.trials.Trials
    scores : np.ndarray
        (num_trials,)
    speakers : local.evaluation.speakers.Speakers
    costs : local.evaluation.summary.Costs
    num_draws : int
    progress : bool

    Returns
    -------
    intervals : Intervals
        Of the draws that have trials of both classes: `NO_INTERVALS` if fewer than half do, or if
        there are fewer than 5 speakers.
    """
    sides = np.stack([trials.enrol, trials.test])
    # Numbers of the speakers that occur in these trials.
    numbers, of_sides = np.unique(speakers.of_utterance[sides], return_inverse=True)
    if len(numbers) < MIN_SPEAKERS:
        return NO_INTERVALS
    drawn_trials = DrawnTrials(curve.thresholds, scores, trials.is_client, of_sides)
    all_counts = speaker_counts(len(numbers), num_draws)
    rows, misses = [], []
    for counts in tqdm(all_counts, "intervals", num_draws, leave=False, disable=not progress):
        draw = drawn_trials.draw(counts)
        if draw:
            curve, cllr_bits = draw
            rows.append(figures(curve, convex_hull(curve), cllr_bits, costs))
            misses.append(curve.miss[_first_points(curve, BAND_RATES)])
    if 2 * len(rows) <= num_draws:
        return NO_INTERVALS
    draws = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Intervals(draws, np.percentile(misses, PERCENTILES, axis=0))


def _first_points(curve, rates):
    """The first point of the curve whose false-alarm rate is at most each of these."""
    return len(curve.miss) - np.searchsorted(curve.false_alarm[::-1], rates, side="right")


def speaker_counts(num_speakers, num_draws, seed=0):
    """Yields how often each speaker is drawn, draw by draw: int64 (num_speakers,).

    Example
    -------
    >>> [int(counts.sum()) for counts in speaker_counts(num_speakers=20, num_draws=2)]
    [20, 20]
    """
    rng = np.random.default_rng(seed)
    for _ in range(num_draws):
        drawn = rng.integers(num_speakers, size=num_speakers)
        yield np.bincount(drawn, minlength=num_speakers)


class DrawnTrials:
    """Trials whose speakers are drawn: sorted once, counted again in each draw.

    Arguments
    ---------
    thresholds : np.ndarray
        (num_thresholds,), those of the `local.evaluation.metrics.DetectionCurve` of the trials.
    scores, is_client : np.ndarray
        (num_trials,) and bool (num_trials,).
    speakers : np.ndarray
        int (2, num_trials): the indices of the speakers of both sides.
    """

    def __init__(self, thresholds, scores, is_client, speakers):
        # Counted from the last threshold, which accepts nothing and must stay.
        every = -(-len(thresholds) // MAX_THRESHOLDS)
        thresholds = self.thresholds = thresholds[::-1][::every][::-1]
        costs = llr_costs(scores, is_client)
        self._clients = _SortedClass(scores, costs, speakers[:1], is_client, thresholds)
        self._impostors = _SortedClass(scores, costs, speakers, ~is_client, thresholds)

    def draw(self, counts):
        """The DetectionCurve and the Cllr of a draw, or None if a class is empty in it.

        The counts, int64 (num_speakers,), say how often each speaker was drawn.
        """
        clients, impostors = self._clients.weigh(counts), self._impostors.weigh(counts)
        if clients is None or impostors is None:
            return None
        (miss, client_cost), (correct, impostor_cost) = clients, impostors
        curve = DetectionCurve(self.thresholds, miss, 1.0 - correct)
        return curve, 0.5 * float(client_cost + impostor_cost)


class _SortedClass:
    """The trials of one class, by score."""

    def __init__(self, scores, costs, speakers, is_of_class, thresholds):
        trials = np.flatnonzero(is_of_class)
        trials = trials[np.argsort(scores[trials])]
        self.costs = costs[trials]
        self.speakers = speakers[:, trials]
        self.num_below = np.searchsorted(scores[trials], thresholds)

    def weigh(self, counts):
        """The share of the trials below each threshold, and the mean cost; None without trials."""
        weights = counts.take(self.speakers[0])
        for speakers in self.speakers[1:]:
            weights *= counts.take(speakers)
        sums = np.zeros(len(weights) + 1, np.int64)
        np.cumsum(weights, out=sums[1:])  # of whole numbers, ten times as fast as of others
        if not sums[-1]:
            return None
        return sums[self.num_below] / sums[-1], weights @ self.costs / sums[-1]
