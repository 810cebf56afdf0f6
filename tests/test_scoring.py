"""Cosine scores against SciPy, and score files there and back."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cosine

from local import scoring
from local.errors import InputError
from local.scoring import cosine_scores, read_scores, write_scores


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
    with pytest.raises(ValueError, match=message):
        cosine_scores(embeddings, make_trials(["anna/1", "anna/2", "bert/1"], [(0, 2)]))


@pytest.mark.parametrize("shape", [(2, 4), (4, 4), (3,)])
def test_embeddings_must_match_the_utterances(shape):
    with pytest.raises(ValueError, match="one embedding for each of 3 utterances, got an array of"):
        cosine_scores(np.ones(shape), make_trials(["a", "b", "c"], [(0, 1)]))


def test_score_lines(tmp_path):
    path = tmp_path / "scores.txt"
    trials = make_trials(["anna/1", "jürgen/ä.2"], [(0, 1), (1, 0)], [False, True])
    write_scores(path, trials, [0.25, -1.5])
    lines = ["anna/1 jürgen/ä.2 nontarget 0.25", "jürgen/ä.2 anna/1 target -1.5"]
    assert path.read_text(encoding="utf-8").splitlines() == lines
    enrol, test, is_client, scores = read_scores(path)
    assert (enrol, test) == (["anna/1", "jürgen/ä.2"], ["jürgen/ä.2", "anna/1"])
    assert (is_client.tolist(), scores.tolist()) == ([False, True], [0.25, -1.5])


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2))
def test_scores_come_back_exactly(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("scores") / "scores.txt"
    write_scores(path, make_trials(["a", "b"], [(0, 1)] * len(values)), values)
    np.testing.assert_array_equal(read_scores(path)[3], np.array(values, np.float32))


def test_other_line_ends_and_blanks_are_fine(tmp_path):
    path = tmp_path / "scores.txt"
    path.write_bytes("\ufeffa\tb  target 0.5 \r\n\r\nb c nontarget -1e-3".encode())
    enrol, test, is_client, scores = read_scores(path)
    assert (enrol, test, is_client.tolist()) == (["a", "b"], ["b", "c"], [True, False])
    np.testing.assert_array_equal(scores, np.array([0.5, -1e-3], np.float32))


@pytest.mark.parametrize(
    "line, message",
    [
        ("a b 0.5", ":2: expected 4 fields, 'ENROL TEST target|nontarget SCORE', but found 3"),
        ("a b target 0.5 x", ":2: expected 4 fields"),
        ("a b client 0.5", ":2: label 'client' is neither 'target' nor 'nontarget'"),
        ("a b target high", ":2: score 'high' is not a finite number"),
        ("a b target nan", ":2: score 'nan' is not a finite number"),
        ("a b target -inf", ":2: score '-inf' is not a finite number"),
        ("a b target 1e39", ":2: score '1e39' is not a finite number"),
        ("a c nontarget 0.1", ": has only nontarget trials: both classes are needed"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, message):
    path = tmp_path / "scores.txt"
    path.write_text(f"a b nontarget 0.5\n{line}\n")
    with pytest.raises(InputError) as error:
        read_scores(path)
    assert str(error.value).startswith(f"{path}{message}")


def test_all_wrong_lines_are_shown_together(tmp_path):
    path = tmp_path / "scores.txt"
    path.write_text("a b target x\na b target 0.5\na b maybe 1\n")
    with pytest.raises(InputError) as error:
        read_scores(path)
    assert [text.split(": ")[0] for text in str(error.value).splitlines()] == [
        f"{path}:1",
        f"{path}:3",
    ]


def test_no_file_and_an_empty_file(tmp_path):
    with pytest.raises(InputError, match="scores.txt: can't be read"):
        read_scores(tmp_path / "scores.txt")
    (tmp_path / "scores.txt").touch()
    with pytest.raises(InputError, match="scores.txt: is empty"):
        read_scores(tmp_path / "scores.txt")


def test_a_failing_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "scores.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match="shorter"):
        write_scores(path, make_trials(["a", "b"], [(0, 1), (1, 0)]), [0.5])
    assert [file.name for file in tmp_path.iterdir()] == ["scores.txt"]
    assert path.read_text() == "old"


def test_a_folder_that_is_not_there(tmp_path):
    path = tmp_path / "missing" / "scores.txt"
    with pytest.raises(InputError) as error:
        write_scores(path, make_trials(["a", "b"], [(0, 1)]), [0.5])
    assert str(error.value) == f"{path}: can't be written (No such file or directory)"
