"""95 % intervals of all figures of a verification, and of its DET curve."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri
from tqdm import tqdm

from local.evaluation.bootstrap import DrawnTrials, speaker_counts
from local.evaluation.cllr import convex_hull
from local.evaluation.summary import figures

PERCENTILES = (2.5, 97.5)
# What a handful of speakers says about others is a guess, and its interval too.
MIN_SPEAKERS = 5
# False-alarm rates at which the interval of the curve is found.
BAND_RATES = ndtr(np.linspace(*ndtri((1e-5, 1.0 - 1e-5)), 200))


class Intervals(NamedTuple):
    """What the draws of speakers gave.

    Arguments
    ---------
    draws : dict
        The name of a figure -> its value in each draw, float64 (num_draws,). Empty if there are
        too few speakers, or none were asked for.
    band : np.ndarray or None
        (2, num_rates): lowest and highest miss rate at each of `BAND_RATES`.
    """

    draws: dict
    band: np.ndarray | None

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
        Whether to show a progress bar.

    Returns
    -------
    intervals : Intervals
        Of the draws that have trials of both classes: `NO_INTERVALS` if fewer than half do, or if
        there are fewer than 5 speakers.
    """
    num_speakers, of_sides = _renumbered(speakers.of_utterance, trials)
    if num_speakers < MIN_SPEAKERS:
        return NO_INTERVALS
    drawn_trials = DrawnTrials(curve.thresholds, scores, trials.is_client, *of_sides)
    all_counts = speaker_counts(num_speakers, num_draws)
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


def _renumbered(of_utterance, trials):
    """The number of speakers that occur, and those of both sides counted among them."""
    sides = [of_utterance[side] for side in (trials.enrol, trials.test)]
    occurs = np.zeros(of_utterance.max() + 1, bool)
    for side in sides:
        occurs[side] = True
    number = np.cumsum(occurs) - 1
    return np.count_nonzero(occurs), [number[side] for side in sides]


def _first_points(curve, rates):
    """The first point of the curve whose false-alarm rate is at most each of these."""
    return len(curve.miss) - np.searchsorted(curve.false_alarm[::-1], rates, side="right")
