"""Means and intervals over drawn speakers and seeds, against loops."""

import numpy as np
import pytest

from local.ablation.comparison import _drawn, compare
from local.evaluation.intervals import speaker_counts
from local.evaluation.metrics import eer

FIGURE = "eer_percent"


def one(value, draws=()):
    return {FIGURE: value}, {FIGURE: np.array(draws)} if len(draws) else {}


def test_means_spreads_and_differences():
    runs = {"a": {1: one(4.0), 2: one(6.0)}, "b": {1: one(5.0), 2: one(9.0), 3: one(10.0)}}
    results = compare(runs, "a", num_draws=0)
    assert results["a"][FIGURE]["mean"] == 5.0 and results["a"][FIGURE]["difference"] is None
    assert results["a"][FIGURE]["deviation"] == pytest.approx(2.0**0.5)
    second = results["b"][FIGURE]
    assert second["mean"] == 8.0 and second["values"] == {1: 5.0, 2: 9.0, 3: 10.0}
    # Of the seeds that both have: (1 + 3) / 2.
    assert second["difference"] == 2.0 and second["difference_interval"] is None
    assert not second["is_clear"]


def test_runs_without_the_reference():
    results = compare({"b": {1: one(5.0, [5.0])}}, "a", num_draws=1)
    assert results["b"][FIGURE]["difference"] is None and results["b"][FIGURE]["interval"]


def scored(rng, num_speakers, num_each, shift):
    """Scores of all pairs of utterances: (scores, is_client, speakers of both sides)."""
    speakers = np.repeat(np.arange(num_speakers), num_each)
    first, second = np.triu_indices(len(speakers), 1)
    is_client = speakers[first] == speakers[second]
    scores = rng.normal(shift * is_client, 1.0)
    return scores, is_client, speakers[first], speakers[second]


def slow_eer(trials, counts):
    """The EER of trials, each as often as its speakers were drawn."""
    scores, is_client, first, second = trials
    times = np.where(is_client, counts[first], counts[first] * counts[second]).astype(int)
    return 100.0 * eer(np.repeat(scores, times), np.repeat(is_client, times))[0]


def test_the_intervals_are_those_of_a_slow_loop():
    rng = np.random.default_rng(1)
    num_draws, num_speakers, seeds = 40, 7, (11, 12, 13)
    trials = {
        run: {seed: scored(rng, num_speakers, 3, shift) for seed in seeds}
        for run, shift in {"a": 2.0, "b": 1.0}.items()
    }
    all_counts = list(speaker_counts(num_speakers, num_draws))
    runs = {
        run: {
            seed: one(slow_eer(t, np.ones(num_speakers)), [slow_eer(t, c) for c in all_counts])
            for seed, t in seeds_of.items()
        }
        for run, seeds_of in trials.items()
    }
    found = compare(runs, "a", num_draws, seed=5)["b"][FIGURE]
    # One less than there are seeds, drawn for each draw of speakers, the same for both runs.
    drawn = np.random.default_rng(5).integers(3, size=(2, num_draws))
    differences, means = [], []
    for draw, counts in enumerate(all_counts):
        chosen = [seeds[index] for index in drawn[:, draw]]
        of_run = {
            run: np.mean([slow_eer(trials[run][seed], counts) for seed in chosen]) for run in trials
        }
        means.append(of_run["b"])
        differences.append(of_run["b"] - of_run["a"])
    assert found["interval"] == pytest.approx(np.percentile(means, (2.5, 97.5)))
    expected = np.percentile(differences, (2.5, 97.5))
    assert found["difference_interval"] == pytest.approx(expected)
    assert found["is_clear"] == (expected[0] > 0 or expected[1] < 0)


@pytest.mark.parametrize("num_seeds", [2, 3, 10])
def test_the_variance_of_a_mean_over_seeds_is_unbiased(num_seeds):
    # Without speakers, the draws differ by the seeds alone.
    values = np.random.default_rng(num_seeds).normal(size=num_seeds)
    draws = [{FIGURE: np.full(50_000, value)} for value in values]
    drawn = _drawn({n: ({}, d) for n, d in enumerate(draws)}, range(num_seeds), FIGURE, 50_000, 0)
    assert drawn.var() == pytest.approx(values.var(ddof=1) / num_seeds, rel=0.02)


def test_a_single_seed_leaves_the_draws_of_speakers():
    draws = np.arange(1001.0)
    results = compare({"a": {1: one(5.0, draws)}, "b": {1: one(7.0, draws + 2.0)}}, "a", 1001)
    assert results["a"][FIGURE]["interval"] == [25.0, 975.0]
    assert results["a"][FIGURE]["deviation"] is None
    assert results["b"][FIGURE]["difference_interval"] == [2.0, 2.0]
    assert results["b"][FIGURE]["is_clear"]
