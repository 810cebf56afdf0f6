"""Systems: what their settings mean, and the scores against the cohort that they give."""

from itertools import combinations

import numpy as np
import pytest

from local.errors import InputError
from local.lists.enrolment import Enrolment, single_utterances
from local.lists.trials import Trials
from local.scoring.backends import Plda
from local.scoring.cosine import cosine_scores
from local.scoring.systems import Cohort, System

SIZE = 6


@pytest.fixture
def trials():
    """All pairs of seven utterances."""
    enrol, test = np.array(list(combinations(range(7), 2)), np.int32).T
    return Trials(list("abcdefg"), enrol, test, np.arange(21) % 3 == 0, [("t", 1)] * 7)


@pytest.fixture
def embeddings():
    # Of any length, and not around 0.
    rng = np.random.default_rng(0)
    return (rng.standard_normal((7, SIZE)) * rng.uniform(1, 9, (7, 1)) + 1).astype(np.float32)


@pytest.fixture
def cohort():
    """Ten speakers of one to ten utterances, in a mixed order."""
    rng = np.random.default_rng(1)
    speakers = rng.permutation(np.repeat(np.arange(10), np.arange(1, 11)))
    return Cohort(
        (rng.standard_normal((55, SIZE)) + 1).astype(np.float32), [f"s{s}" for s in speakers]
    )


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


# ---- settings


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"backend": "PLDA"}, "backend is one of cosine, plda, not 'PLDA'"),
        ({"score_norm": None}, "score_norm is one of none, z, t, s, as, not None"),
        ({"cohort_kind": "means"}, "cohort_kind is one of utterances, speakers, not 'means'"),
        ({"enrol_mean": "score"}, "enrol_mean is one of embeddings, scores, not 'score'"),
        ({"plda_rank": 0}, "plda_rank must be a number from 1 on, not 0"),
        ({"top_n": 2.5}, "top_n must be a number from 1 on, not 2.5"),
        ({"score_norm": "as", "top_n": 1}, "top_n must be at least 2"),
    ],
)
def test_settings_that_there_are_not(settings, message):
    with pytest.raises(InputError, match=message):
        System(**settings).check()


@pytest.mark.parametrize(
    "settings, name, needs_cohort",
    [
        ({}, "cosine", False),
        ({"top_n": 1, "enrol_mean": "scores"}, "cosine", False),
        ({"backend": "plda"}, "plda", True),
        ({"subtract_mean": True}, "cosine, mean subtracted", True),
        ({"score_norm": "z", "cohort_kind": "speakers"}, "cosine, z-norm", True),
    ],
)
def test_settings_that_there_are(settings, name, needs_cohort):
    system = System(**settings)
    system.check()
    assert (system.describe(), system.needs_cohort()) == (name, needs_cohort)


# ---- scores


@pytest.mark.parametrize("enrol_mean", ["embeddings", "scores"])
def test_the_plain_system_is_the_cosine(trials, embeddings, enrol_mean):
    system = System(enrol_mean=enrol_mean)
    scores, means = system.score(single_utterances(trials), embeddings)
    np.testing.assert_allclose(scores, cosine_scores(embeddings, trials), atol=1e-6)
    assert scores.dtype == np.float32 and means is None


def test_the_mean_of_the_cohort_is_subtracted(trials, embeddings, cohort):
    scores, means = System(subtract_mean=True).score(single_utterances(trials), embeddings, cohort)
    mean = cohort.embeddings.mean(axis=0)
    np.testing.assert_allclose(scores, cosine_scores(embeddings - mean, trials), atol=1e-6)
    expected = (unit(embeddings - mean) @ unit(cohort.embeddings - mean).T).mean(axis=1)
    np.testing.assert_allclose(means, expected, atol=1e-6)


def test_a_speaker_is_the_mean_of_its_utterances(trials, embeddings, cohort):
    system = System(score_norm="s", cohort_kind="speakers")
    scores, means = system.score(single_utterances(trials), embeddings, cohort)
    rows = unit(cohort.embeddings)
    speakers = np.array(cohort.speakers)
    members = unit(np.array([rows[speakers == s].mean(axis=0) for s in sorted(set(speakers))]))
    seen = unit(embeddings) @ members.T
    np.testing.assert_allclose(means, seen.mean(axis=1), atol=1e-6)
    raw, (e, t) = cosine_scores(embeddings, trials), (trials.enrol, trials.test)
    z, t = ((raw - seen.mean(axis=1)[side]) / seen.std(axis=1)[side] for side in (e, t))
    np.testing.assert_allclose(scores, (z + t) / 2, atol=1e-5)


def test_the_nearest_members_give_the_cohort_means(trials, embeddings, cohort):
    system = System(score_norm="as", top_n=4)
    _, means = system.score(single_utterances(trials), embeddings, cohort)
    nearest = np.sort(unit(embeddings) @ unit(cohort.embeddings).T)[:, -4:]
    np.testing.assert_allclose(means, nearest.mean(axis=1), atol=1e-6)


def test_members_of_the_cohort_are_scored_by_plda_too(trials, embeddings, cohort):
    system = System(backend="plda", plda_rank=2, score_norm="z")
    scores, means = system.score(single_utterances(trials), embeddings, cohort)
    rows, members = unit(embeddings), unit(cohort.embeddings)
    plda = Plda(members, cohort.speakers, 2)
    (left, right), (_, others) = plda.vectors(rows), plda.vectors(members)
    seen = left @ others.T
    np.testing.assert_allclose(means, seen.mean(axis=1), atol=1e-4)
    raw = (left @ right.T)[trials.enrol, trials.test]
    expected = (raw - seen.mean(axis=1)[trials.enrol]) / seen.std(axis=1)[trials.enrol]
    np.testing.assert_allclose(scores, expected, atol=1e-3)


def test_means_of_a_model_are_over_its_utterances(trials, embeddings, cohort):
    members = [[0, 1], [2], [3, 4, 5], [6], [0], [5], [4]]
    enrolment = Enrolment(trials, trials.utterances, trials.places, members)
    _, alone = System(score_norm="as", top_n=5).score(single_utterances(trials), embeddings, cohort)
    system = System(score_norm="as", top_n=5, enrol_mean="scores")
    _, means = system.score(enrolment, embeddings, cohort)
    np.testing.assert_allclose(means, [alone[side].mean() for side in members], atol=1e-6)


# ---- small cohorts


def test_a_cohort_below_top_n_is_told_of_once_and_taken(trials, embeddings, cohort, caplog):
    enrolment = single_utterances(trials)
    expected, _ = System(score_norm="s").score(enrolment, embeddings, cohort)
    exact, _ = System(score_norm="as", top_n=55).score(enrolment, embeddings, cohort)
    assert not caplog.records
    scores, _ = System(score_norm="as", top_n=56).score(enrolment, embeddings, cohort)
    np.testing.assert_array_equal(scores, expected)
    np.testing.assert_array_equal(exact, expected)
    (record,) = caplog.records
    assert record.getMessage() == (
        "The cohort has 55 members, fewer than top_n (56): all of them are taken"
    )


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"score_norm": "t"}, "all scores against the cohort are the same"),
        ({"subtract_mean": True}, "the cohort is one utterance, which is its own mean"),
        ({"backend": "plda"}, "all embeddings of the cohort are the same"),
    ],
)
def test_a_cohort_of_one_utterance_is_refused(trials, embeddings, settings, message):
    with pytest.raises(InputError, match=message):
        System(**settings).score(
            single_utterances(trials), embeddings, Cohort(np.ones((1, SIZE), np.float32), ["s"])
        )
