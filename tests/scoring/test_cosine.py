"""Cosine scores against SciPy."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cosine

from local.errors import InputError
from local.scoring import cosine as scoring
from local.scoring.cosine import cosine_scores, dot_scores, group_means, unit_length


def make_trials(utterances, pairs, is_client=None):
    enrol, test = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    if is_client is None:
        is_client = np.arange(len(enrol)) % 2 == 0
    return SimpleNamespace(
        utterances=utterances, enrol=enrol, test=test, is_client=np.array(is_client, dtype=bool)
    )


def random_task(num_utterances, num_trials, num_values=24, seed=0):
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((num_utterances, num_values)).astype(np.float32)
    pairs = rng.integers(0, num_utterances, (num_trials, 2))
    return embeddings, make_trials([f"u{i}" for i in range(num_utterances)], pairs)


def test_cosine_by_hand():
    embeddings = [[3.0, 4.0], [4.0, 3.0], [0.0, 2.0], [-30.0, -40.0]]
    trials = make_trials(["a", "b", "c", "d"], [(0, 1), (0, 2), (3, 0), (2, 2)])
    scores = cosine_scores(embeddings, trials)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, [0.96, 0.8, -1.0, 1.0], atol=1e-7)


@pytest.mark.parametrize("cells_per_trial", [0, 1e9], ids=["by trial", "by matrix"])
def test_both_ways_agree_with_scipy(monkeypatch, cells_per_trial):
    monkeypatch.setattr(scoring, "CELLS_PER_TRIAL", cells_per_trial)
    # Blocks that don't divide the numbers of trials and utterances.
    monkeypatch.setattr(scoring, "TRIALS_PER_BLOCK", 7)
    monkeypatch.setattr(scoring, "CELLS_PER_BLOCK", 500)
    embeddings, trials = random_task(num_utterances=50, num_trials=200)
    expected = [
        1.0 - cosine(embeddings[i].astype(float), embeddings[j].astype(float))
        for i, j in zip(trials.enrol, trials.test, strict=True)
    ]
    np.testing.assert_allclose(cosine_scores(embeddings, trials), expected, atol=1e-6)


@pytest.mark.parametrize("cells_per_trial", [0, 1e9], ids=["by trial", "by matrix"])
@pytest.mark.parametrize("is_sorted", [False, True])
def test_the_sides_may_be_of_different_vectors(monkeypatch, cells_per_trial, is_sorted):
    monkeypatch.setattr(scoring, "CELLS_PER_TRIAL", cells_per_trial)
    monkeypatch.setattr(scoring, "TRIALS_PER_BLOCK", 7)
    monkeypatch.setattr(scoring, "CELLS_PER_BLOCK", 100)
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((size, 5)).astype(np.float32) for size in (30, 12))
    enrol, test = rng.integers(30, size=99), rng.integers(12, size=99)
    if is_sorted:
        enrol.sort()
    scores = dot_scores(left, right, enrol, test)
    assert scores.dtype == np.float32
    expected = [left[e].astype(float) @ right[t] for e, t in zip(enrol, test, strict=True)]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_unit_length_by_hand():
    unit = unit_length(np.array([[3, 4], [0, -2]], np.float64), ["a", "b"])
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0.0, -1.0]], rtol=1e-7)


def test_the_length_of_an_embedding_does_not_matter():
    embeddings, trials = random_task(num_utterances=4, num_trials=20)
    # In float32 the squares of these are 0 or infinite.
    scaled = embeddings * np.array([[1e-30], [1e30], [1.0], [1e-3]], np.float32)
    np.testing.assert_allclose(
        cosine_scores(scaled, trials), cosine_scores(embeddings, trials), atol=1e-6
    )


def test_a_tensor_is_taken_and_nothing_is_changed():
    embeddings, trials = random_task(num_utterances=5, num_trials=9)
    tensor = torch.tensor(embeddings)
    np.testing.assert_array_equal(cosine_scores(tensor, trials), cosine_scores(embeddings, trials))
    np.testing.assert_array_equal(tensor, embeddings)


def test_the_matrix_of_all_pairs_is_never_whole_in_memory(monkeypatch):
    monkeypatch.setattr(scoring, "CELLS_PER_BLOCK", 20_000)
    embeddings, trials = random_task(num_utterances=1500, num_trials=100_000, num_values=4)
    tracemalloc.start()
    cosine_scores(embeddings, trials)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1500 * 1500 * 4 / 3


@pytest.mark.parametrize(
    "value, message",
    [
        (0.0, "the embedding of anna/2 is zero; 1 of 3 embeddings"),
        (np.nan, "the embedding of anna/2 is not finite; 1 of 3 embeddings"),
        (np.inf, "the embedding of anna/2 is not finite"),
    ],
)
def test_an_unusable_embedding_is_refused(value, message):
    embeddings = np.ones((3, 4), np.float32)
    embeddings[1] = value
    with pytest.raises(InputError, match=message):
        cosine_scores(embeddings, make_trials(["anna/1", "anna/2", "bert/1"], [(0, 2)]))


@pytest.mark.parametrize("shape", [(2, 4), (4, 4), (3,)])
def test_embeddings_must_match_the_utterances(shape):
    with pytest.raises(ValueError, match="one embedding for each of 3 utterances, got an array of"):
        cosine_scores(np.ones(shape), make_trials(["a", "b", "c"], [(0, 1)]))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.sampled_from([(), (3,), (2, 2)]))
def test_means_are_those_of_a_loop(counts, shape):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((sum(counts), *shape)).astype(np.float32)
    means = group_means(values, np.array(counts))
    assert means.dtype == np.float32
    parts = np.split(values, np.cumsum(counts)[:-1])
    np.testing.assert_allclose(means, [part.mean(axis=0) for part in parts], atol=1e-6)
