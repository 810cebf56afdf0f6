"""Models of several utterances, and systems that score with them."""

from dataclasses import replace

import numpy as np
import pytest

from local.errors import InputError
from local.lists.enrolment import enrol_models, merge, read_enrolment, single_utterances
from local.lists.trials import read_trial_list
from local.scoring.systems import Cohort, System

MODELS = "anna a/1 a/2\nbert b/1 b/2 b/3\nunused c/1\n"
TRIALS = "anna a/3 target\nanna b/4 nontarget\nbert b/4 target\nbert a/3 nontarget\n"


@pytest.fixture
def read(tmp_path):
    def call(models=MODELS, trials=TRIALS):
        (tmp_path / "models.txt").write_text(models)
        (tmp_path / "trials.txt").write_text(trials)
        return enrol_models(read_trial_list(tmp_path / "trials.txt"), tmp_path / "models.txt")

    return call


def make_embeddings(utterances, seed=0):
    return np.random.default_rng(seed).standard_normal((len(utterances), 6)).astype(np.float32)


def make_cohort(seed=1):
    speakers = [f"s{index // 4}" for index in range(80)]
    return Cohort(make_embeddings(speakers, seed), speakers)


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_models_and_their_utterances(read):
    enrolment = read()
    trials = enrolment.trials
    assert enrolment.utterances == ["a/1", "a/2", "b/1", "b/2", "b/3", "a/3", "b/4"]
    assert trials.utterances[:2] == ["anna", "bert"] and len(trials) == 4
    sides = [
        (trials.utterances[e], trials.utterances[t])
        for e, t in zip(trials.enrol, trials.test, strict=True)
    ]
    assert sides == [tuple(line.split()[:2]) for line in TRIALS.splitlines()]
    members = [[enrolment.utterances[index] for index in side] for side in enrolment.members]
    assert members == [["a/1", "a/2"], ["b/1", "b/2", "b/3"], ["a/3"], ["b/4"]]
    assert enrolment.places[0][1] == 1 and enrolment.places[2][1] == 2


@pytest.mark.parametrize("enrol_mean", ["embeddings", "scores"])
def test_scores_of_models_by_a_loop(read, enrol_mean):
    enrolment = read()
    embeddings = make_embeddings(enrolment.utterances)
    scores, means = System(enrol_mean=enrol_mean).score(enrolment, embeddings)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    expected = []
    for enrol, test in zip(enrolment.trials.enrol, enrolment.trials.test, strict=True):
        members, tested = unit[enrolment.members[enrol]], unit[enrolment.members[test][0]]
        of_parts = np.mean([cosine(member, tested) for member in members])
        whole = cosine(members.mean(axis=0), tested)
        expected.append(whole if enrol_mean == "embeddings" else of_parts)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert means is None


@pytest.mark.parametrize(
    "system",
    [
        System(),
        System(subtract_mean=True, score_norm="as", top_n=10),
        System(score_norm="z", cohort_kind="speakers"),
        System(backend="plda", plda_rank=3, score_norm="t"),
    ],
    ids=System.describe,
)
def test_models_of_one_utterance_score_as_the_utterance(read, system):
    models = read("x a/1\ny b/1\n", "x a/3 target\nx b/4 nontarget\ny b/4 target\n")
    names = [models.utterances[m[0]] for m in models.members]
    trials = replace(models.trials, utterances=names)
    embeddings = make_embeddings(names, seed=5)
    by_name = dict(zip(names, embeddings, strict=True))
    of_models = np.array([by_name[name] for name in models.utterances])
    cohort = make_cohort() if system.needs_cohort() else None
    expected, means = system.score(single_utterances(trials), embeddings, cohort)
    for enrol_mean in ("embeddings", "scores"):
        scores, side_means = system._replace(enrol_mean=enrol_mean).score(models, of_models, cohort)
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        if cohort:
            np.testing.assert_allclose(side_means, means, atol=1e-5)


def test_mean_subtraction_and_speaker_means_by_hand(read):
    enrolment = read()
    embeddings, cohort = make_embeddings(enrolment.utterances), make_cohort()
    system = System(subtract_mean=True, score_norm="z", cohort_kind="speakers", enrol_mean="scores")
    scores, means = system.score(enrolment, embeddings, cohort)
    mean = cohort.embeddings.mean(axis=0)
    others = cohort.embeddings - mean
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    others = others.reshape(20, 4, 6).mean(axis=1)
    values = []
    for member in embeddings[[0, 1]] - mean:
        seen = np.array([cosine(member, other) for other in others])
        values.append((cosine(member, embeddings[5] - mean) - seen.mean()) / seen.std())
    assert scores[0] == pytest.approx(np.mean(values), abs=1e-4)
    expected = [np.mean([cosine(e - mean, other) for other in others]) for e in embeddings[:2]]
    assert means[0] == pytest.approx(np.mean(expected), abs=1e-6)


def test_a_model_may_not_be_called_like_an_utterance_that_is_tested(read):
    trials = "b/4 a/3 target\nbert b/4 target\nbert a/3 nontarget\n"
    with pytest.raises(InputError, match="trials.txt:1: 'b/4' is a model here, and an utterance"):
        read("b/4 a/1\nbert b/1\n", trials)


def test_conditions_are_kept(read):
    trials = "".join(f"{line} c{n % 2}\n" for n, line in enumerate(TRIALS.splitlines()))
    enrolment = read(trials=trials)
    assert enrolment.trials.condition_names == ["c0", "c1"]
    assert enrolment.trials.condition.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "models, message",
    [
        ("anna a/1\nbert\n", "models.txt:2: model 'bert' has no utterances"),
        ("anna a/1\nanna a/2\nbert b/1\n", "models.txt:2: model 'anna' is already on line 1"),
        ("anna a/1 a/1\nbert b/1\n", "models.txt:1: model 'anna' has an utterance twice"),
        ("anna a/1\n", "trials.txt:3: there is no model 'bert' in .*models.txt"),
        (
            "anna a/1 a/3\nbert b/1\n",
            "models.txt:1: model 'anna' is tested with 'a/3', which is in",
        ),
        ("", "models.txt: is empty: expected lines of 'MODEL PATH ...'"),
    ],
)
def test_wrong_models_are_named(read, models, message):
    with pytest.raises(InputError, match=message):
        read(models)


def test_all_problems_are_shown_together(read):
    with pytest.raises(InputError) as error:
        read("x\ny\nanna a/1\n")
    assert len(str(error.value).splitlines()) == 2


def test_lists_are_merged_as_they_stand(tmp_path):
    texts = ["x a/1 target\ny a/1 nontarget\n", "y b/9 target\nx b/9 nontarget\n"]
    models = tmp_path / "models.txt"
    models.write_text("x a/2 a/3\ny b/2\n")
    lists = []
    for text in texts:
        (tmp_path / "trials.txt").write_text(text)
        lists.append(enrol_models(read_trial_list(tmp_path / "trials.txt"), models))
    # A name of a model may be that of an utterance in a list without models.
    (tmp_path / "trials.txt").write_text("1 x a/2\n0 x b/2\n")
    lists.append(read_enrolment(tmp_path / "trials.txt", None, None, None))
    merged, sides = merge(lists)
    assert sorted(merged.utterances) == ["a/1", "a/2", "a/3", "b/2", "b/9", "x"]
    assert len(merged.places) == 6 and merged.places[0] in lists[0].places
    first = 0
    for enrolment, of_list in zip(lists, sides, strict=True):
        part = slice(first, first := first + len(enrolment.trials))
        for side in ("enrol", "test"):
            own = getattr(enrolment.trials, side)
            assert (getattr(merged.trials, side)[part] == of_list[own]).all()
        assert (merged.trials.is_client[part] == enrolment.trials.is_client).all()
        for number, members in zip(of_list, enrolment.members, strict=True):
            names = [merged.utterances[index] for index in merged.members[number]]
            assert names == [enrolment.utterances[index] for index in members]
    (alone,) = lists[:1]
    merged, (of_list,) = merge([alone])
    assert merged.utterances == alone.utterances and merged.places == alone.places
    assert merged.members == alone.members and of_list.tolist() == [0, 1, 2]
