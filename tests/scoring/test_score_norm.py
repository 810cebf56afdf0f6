"""Score normalisation: against a loop over trials, and what it is meant to undo."""

import tracemalloc

import numpy as np
import pytest

from local.errors import InputError
from local.lists.trials import Trials
from local.scoring import score_norm
from local.scoring.score_norm import cohort_statistics, normalise


def make_task(num_utterances=30, num_trials=100, cohort_size=25, seed=0):
    rng = np.random.default_rng(seed)
    vectors, cohort = (
        rng.standard_normal((size, 8)).astype(np.float32) for size in (num_utterances, cohort_size)
    )
    enrol, test = rng.integers(num_utterances, size=(2, num_trials))
    names = [f"u{index}" for index in range(num_utterances)]
    trials = Trials(names, enrol, test, np.arange(num_trials) % 2 == 0, [])
    return vectors, cohort, trials, np.einsum("tv,tv->t", vectors[enrol], vectors[test])


def loop(vectors, cohort, trials, scores, kind, top_n):
    """The definitions, trial by trial, in float64."""
    results = []
    for enrol, test, score in zip(trials.enrol, trials.test, scores, strict=True):
        seen = []
        for side in {"z": [enrol], "t": [test]}.get(kind, [enrol, test]):
            others = [float(np.dot(vectors[side], member)) for member in cohort.astype(float)]
            others = np.array(sorted(others)[-top_n:] if kind == "as" else others)
            seen.append((float(score) - others.mean()) / others.std())
        results.append(np.mean(seen))
    return results


@pytest.mark.parametrize("kind", ["z", "t", "s", "as"])
@pytest.mark.parametrize("top_n", [2, 10, 25, 99])
@pytest.mark.parametrize("cells", [10, 60, 4_000_000])
def test_normalised_scores_are_those_of_a_loop(monkeypatch, kind, top_n, cells):
    monkeypatch.setattr(score_norm, "CELLS_PER_BLOCK", cells)
    vectors, cohort, trials, scores = make_task()
    statistics = cohort_statistics(vectors, cohort, top_n if kind == "as" else None)
    expected = loop(vectors, cohort, trials, scores, kind, top_n)
    result = normalise(scores, trials, kind, statistics)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
    assert result.dtype == np.float32


def test_a_side_that_is_near_to_everybody_has_no_advantage():
    # All scores of one utterance, with the cohort too, are moved and stretched.
    vectors, cohort, trials, _ = make_task()
    cohort = np.hstack([cohort, np.ones((len(cohort), 1), np.float32)])
    plain = np.hstack([vectors, np.zeros((len(vectors), 1), np.float32)])
    moved = plain.copy()
    moved[7] = 3.0 * moved[7]
    moved[7, -1] += 5.0
    results = []
    for rows in (plain, moved):
        scores = np.einsum("tv,tv->t", rows[trials.enrol, :-1], plain[trials.test, :-1])
        scores += rows[trials.enrol, -1]
        results.append(normalise(scores, trials, "z", cohort_statistics(rows, cohort)))
    np.testing.assert_allclose(*results, atol=1e-4)


def test_t_is_z_with_the_sides_swapped():
    vectors, cohort, trials, scores = make_task()
    statistics = cohort_statistics(vectors, cohort)
    swapped = Trials(trials.utterances, trials.test, trials.enrol, trials.is_client, [])
    np.testing.assert_array_equal(
        normalise(scores, trials, "t", statistics), normalise(scores, swapped, "z", statistics)
    )


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(score_norm, "CELLS_PER_BLOCK", 20_000)
    vectors, cohort, _, _ = make_task(num_utterances=3000, cohort_size=1000)
    tracemalloc.start()
    cohort_statistics(vectors, cohort, top_n=100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3000 * 1000 * 4 / 10


@pytest.mark.parametrize("size", [1, 3])
def test_a_cohort_of_one_voice_is_refused(size):
    vectors = make_task()[0]
    with pytest.raises(InputError, match="all scores against the cohort are the same"):
        cohort_statistics(vectors, np.ones((size, 8), np.float32))
