"""Back-ends: PLDA against SpeechBrain's own scoring, and what it is good for."""

import numpy as np
import pytest
from speechbrain.processing.PLDA_LDA import PLDA, Ndx, StatObject_SB, fast_PLDA_scoring

from local.errors import InputError
from local.evaluation.metrics import eer
from local.scoring.backends import Plda

NUM_SPEAKERS, NUM_UTTERANCES, SIZE = 40, 8, 12


def make_embeddings(seed=0, num_speakers=NUM_SPEAKERS):
    """Speakers differ in the last values, and channels, much more, in the first ones."""
    rng = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(num_speakers), NUM_UTTERANCES)
    of_speakers = rng.standard_normal((num_speakers, SIZE)) * np.linspace(0.05, 1.0, SIZE)
    channels = rng.standard_normal((len(speaker), SIZE)) * np.linspace(2.0, 0.3, SIZE)
    embeddings = of_speakers[speaker] + channels
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return unit.astype(np.float32), speaker


def statistics(unit, models):
    nothing = np.full(len(unit), None)
    ids = np.array([f"{index:04d}" for index in range(len(unit))], dtype=object)
    return StatObject_SB(
        modelset=ids if models is None else np.array(models, dtype=object),
        segset=ids,
        start=nothing,
        stop=nothing,
        stat0=np.ones((len(unit), 1)),
        stat1=unit.astype(np.float64),
    )


@pytest.fixture(scope="module")
def trained():
    return Plda(*make_embeddings(), rank=6)


def test_scores_are_those_of_speechbrain(trained):
    unit, speaker = make_embeddings()
    plda = PLDA(rank_f=6)
    plda.plda(statistics(unit, [f"{s:03d}" for s in speaker]))
    enrol, test = (statistics(part, None) for part in (unit[:30], unit[30:80]))
    trials = Ndx(models=enrol.modelset, testsegs=test.segset)
    expected = fast_PLDA_scoring(enrol, test, trials, plda.mean, plda.F, plda.Sigma).scoremat
    left, _ = trained.vectors(unit[:30])
    _, right = trained.vectors(unit[30:80])
    np.testing.assert_allclose(left @ right.T, expected, atol=1e-4)


def test_the_sides_can_be_swapped(trained):
    left, right = trained.vectors(make_embeddings(seed=1)[0])
    scores = left @ right.T
    np.testing.assert_allclose(scores, scores.T, atol=1e-4)


def test_it_sees_what_the_cosine_does_not(trained):
    unit, speaker = make_embeddings(seed=2)
    pairs = np.triu_indices(len(unit), 1)
    is_client = (speaker[:, None] == speaker)[pairs]
    eers = []
    for left, right in ((unit, unit), trained.vectors(unit)):
        eers.append(eer((left @ right.T)[pairs], is_client)[0])
    assert eers[1] < 0.8 * eers[0]


def test_directions_in_which_nothing_varies_are_left_out():
    unit, speaker = make_embeddings()
    padded = np.hstack([unit, np.zeros((len(unit), 2), np.float32)])
    scores = [
        left @ right.T
        for left, right in (Plda(e, speaker, rank=6).vectors(e[:20]) for e in (unit, padded))
    ]
    np.testing.assert_allclose(*scores, atol=1e-3)


def test_a_rank_above_what_there_is(trained):
    unit, speaker = make_embeddings(num_speakers=5)
    left, right = Plda(unit, speaker, rank=100).vectors(unit)
    assert np.isfinite(left @ right.T).all()


@pytest.mark.parametrize(
    "chosen, message",
    [
        (slice(0, 16), "at least 3 speakers.* this one has 16 utterances of 2 speakers"),
        (slice(0, None, 8), "12 more utterances than speakers: this one has 40 utterances of 40"),
    ],
)
def test_too_small_a_cohort_is_refused(chosen, message):
    unit, speaker = make_embeddings()
    with pytest.raises(InputError, match=message):
        Plda(unit[chosen], speaker[chosen], rank=6)


def test_equal_embeddings_are_refused():
    unit, speaker = make_embeddings()
    with pytest.raises(InputError, match="all embeddings of the cohort are the same"):
        Plda(np.tile(unit[:1], (len(unit), 1)), speaker, rank=6)
