import numpy as np
import pytest

from local.errors import InputError
from local.evaluation.calibration import Calibration
from local.evaluation.decision import of_calibration
from local.lists.trials import Trials
from local.scoring import identification
from local.scoring.cosine import cosine_scores
from local.scoring.identification import nearest, prior_of_each

NAMES = [f"p{index}" for index in range(30)]
TESTS = [f"t{index}" for index in range(20)]


def drawn(num_rows, seed):
    return np.random.default_rng(seed).standard_normal((num_rows, 6)).astype(np.float32)


@pytest.mark.parametrize("cells", [1, 100, 10**6])
def test_the_scores_are_those_of_verification_the_highest_first(monkeypatch, cells):
    monkeypatch.setattr(identification, "CELLS_PER_BLOCK", cells)
    people, tests = drawn(30, seed=0), drawn(20, seed=1)
    rows, scores = nearest(people, NAMES, tests, TESTS, 4)
    enrol, test = np.indices((30, 20)).reshape(2, -1)
    trials = Trials(NAMES + TESTS, enrol, 30 + test, np.ones(600, bool), [])
    cosines = cosine_scores(np.concatenate([people, tests]), trials).reshape(30, 20).T
    assert rows.shape == scores.shape == (20, 4) and scores.dtype == np.float32
    assert rows.tolist() == np.argsort(-cosines, axis=1)[:, :4].tolist()
    np.testing.assert_allclose(scores, np.sort(cosines)[:, ::-1][:, :4], atol=1e-6)


def test_few_people_and_equal_scores():
    people = np.array([[1, 0], [0, 1], [2, 0]], np.float32)
    rows, scores = nearest(people, NAMES[:3], np.array([[3, 0]], "f4"), ["t"], 9)
    assert rows.tolist() == [[0, 2, 1]] and scores.tolist() == [[1, 1, 0]]


def test_an_embedding_without_a_direction_is_named():
    with pytest.raises(InputError, match="the embedding of p1 is zero"):
        nearest(np.array([[1, 0], [0, 0]], "f4"), NAMES[:2], np.ones((1, 2), "f4"), ["t"], 1)


@pytest.mark.parametrize("p_known, num_people", [(0.5, 1), (0.5, 50), (0.9, 7), (0.01, 3)])
def test_the_answer_is_the_most_probable_one(p_known, num_people):
    decision = of_calibration(Calibration({"score": 20.0}, -8.0, 0.05, (), {}))
    threshold = decision.threshold_at(prior_of_each(p_known, num_people))
    assert threshold == pytest.approx(
        (8 + np.log(num_people) + np.log((1 - p_known) / p_known)) / 20
    )
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 1.2, (500, 1)) - rng.exponential(0.3, (500, num_people))
    scores = scores.astype(np.float32)
    # Bayes: nobody, or one of the people, of whom each shares the prior.
    likelihoods = np.exp(decision.llrs(scores.ravel()).reshape(scores.shape).astype(float))
    posteriors = np.column_stack([np.full(500, 1 - p_known), p_known / num_people * likelihoods])
    is_somebody = posteriors.argmax(axis=1) > 0
    best = scores.max(axis=1)
    is_clear = np.abs(best - threshold) > 1e-5
    assert ((best >= threshold) == is_somebody)[is_clear].all()
    assert 0 < is_somebody.sum() < 500
