"""Drawing speakers: a draw counts trials as if they stood in the list that often."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.evaluation import intervals
from local.evaluation.cllr import cllr, convex_hull
from local.evaluation.intervals import DrawnTrials, speaker_counts
from local.evaluation.metrics import detection_curve
from local.evaluation.speakers import find_speakers
from local.evaluation.summary import DEFAULT_COSTS, figures
from local.lists.trials import Trials


def make_trials(num_speakers, num_utterances, num_trials, seed=0, distance=2.0):
    """Random pairs, and scores that depend on the speakers and on chance."""
    rng = np.random.default_rng(seed)
    names = [f"s{s}/u{u}" for s in range(num_speakers) for u in range(num_utterances)]
    speaker = np.repeat(np.arange(num_speakers), num_utterances)
    enrol, test = rng.integers(len(names), size=(2, num_trials)).astype(np.int32)
    # Half of the trials get a partner of the same speaker.
    same = rng.random(num_trials) < 0.5
    test = np.where(same, speaker[enrol] * num_utterances + test % num_utterances, test)
    is_client = speaker[enrol] == speaker[test]
    quality = rng.standard_normal(num_speakers)
    scores = rng.standard_normal(num_trials) + distance * is_client + 0.5 * quality[speaker[enrol]]
    return Trials(names, enrol, test.astype(np.int32), is_client, []), scores


def drawn_trials(trials, scores):
    speakers = find_speakers(trials)
    sides = speakers.of_utterance[np.stack([trials.enrol, trials.test])]
    thresholds = detection_curve(scores, trials.is_client).thresholds
    return DrawnTrials(thresholds, scores, trials.is_client, sides), sides


@given(st.integers(0, 1000), st.booleans())
def test_a_draw_is_the_list_with_repeated_trials(seed, rounded):
    trials, scores = make_trials(num_speakers=6, num_utterances=3, num_trials=60, seed=seed)
    scores = np.round(scores) if rounded else scores
    drawn, (enrol, test) = drawn_trials(trials, scores)
    (counts,) = speaker_counts(6, 1, seed)
    times = np.where(trials.is_client, counts[enrol], counts[enrol] * counts[test]).astype(int)
    repeated = np.repeat(scores, times), np.repeat(trials.is_client, times)
    if repeated[1].all() or not repeated[1].any():
        assert drawn.draw(counts) is None
        return
    curve, cllr_bits = drawn.draw(counts)
    expected = detection_curve(*repeated)
    shown = np.isin(curve.thresholds, expected.thresholds[:-1])
    np.testing.assert_allclose(curve.miss[shown], expected.miss[:-1], atol=1e-12)
    np.testing.assert_allclose(curve.false_alarm[shown], expected.false_alarm[:-1], atol=1e-12)
    values = figures(curve, convex_hull(curve), cllr_bits, DEFAULT_COSTS)
    expected = figures(expected, convex_hull(expected), cllr(*repeated), DEFAULT_COSTS)
    assert values == pytest.approx(expected, abs=1e-9)


def test_counts_are_of_as_many_speakers_and_come_again():
    draws = np.array(list(speaker_counts(50, 200, seed=3)))
    assert (draws.sum(axis=1) == 50).all()
    np.testing.assert_array_equal(draws, list(speaker_counts(50, 200, seed=3)))
    # Binomial: mean 1, variance 1 - 1/50; the share of those never drawn is about 1/e.
    assert draws.var() == pytest.approx(0.98, abs=0.05)
    assert (draws == 0).mean() == pytest.approx(np.exp(-1), abs=0.02)


def test_fewer_thresholds_of_many_trials_give_about_the_same_figures(monkeypatch):
    trials, scores = make_trials(num_speakers=20, num_utterances=5, num_trials=20_000)
    counts = next(speaker_counts(20, 1))
    exact, exact_cllr = drawn_trials(trials, scores)[0].draw(counts)
    monkeypatch.setattr(intervals, "MAX_THRESHOLDS", 1000)
    thinned, thinned_cllr = drawn_trials(trials, scores)[0].draw(counts)
    assert 900 <= len(thinned.thresholds) <= 1000
    assert thinned_cllr == exact_cllr
    assert set(thinned.miss) <= set(exact.miss)
    values = [
        figures(c, convex_hull(c), exact_cllr, DEFAULT_COSTS)["eer_percent"]
        for c in (exact, thinned)
    ]
    assert values[0] == pytest.approx(values[1], abs=0.2)


def find(trials, scores, num_draws=200):
    curve = detection_curve(scores, trials.is_client)
    return intervals.find_intervals(
        curve, trials, scores, find_speakers(trials), DEFAULT_COSTS, num_draws
    )


def test_interval_is_that_of_the_theory_for_the_mean_of_speakers():
    # The client scores of a speaker are all alike, and 30 % of the speakers are always missed: at
    # the Bayes threshold, the actual cost is the share of missed speakers: binomial.
    names = [f"s{s:02d}/{u}" for s in range(60) for u in range(2)]
    enrol = np.concatenate([np.arange(0, 120, 2), np.arange(0, 120, 2)]).astype(np.int32)
    test = np.concatenate([np.arange(1, 120, 2), np.roll(np.arange(1, 120, 2), 1)])
    is_client = np.arange(120) < 60
    missed = np.arange(60) % 10 < 3
    scores = np.concatenate([np.where(missed, -5.0, 20.0), np.full(60, -9.0)])
    trials = Trials(names, enrol, test.astype(np.int32), is_client, [])
    low, high = find(trials, scores, num_draws=2000).limits()["act_dcf_0.01"]
    deviation = np.sqrt(0.3 * 0.7 / 60)
    assert low == pytest.approx(0.3 - 1.96 * deviation, abs=0.02)
    assert high == pytest.approx(0.3 + 1.96 * deviation, abs=0.02)


def test_intervals_are_wider_than_those_of_drawn_trials_would_be():
    trials, scores = make_trials(num_speakers=20, num_utterances=10, num_trials=5000)
    low, high = find(trials, scores).limits()["eer_percent"]
    rng = np.random.default_rng(0)
    eers = []
    for _ in range(200):
        chosen = rng.integers(5000, size=5000)
        curve = detection_curve(scores[chosen], trials.is_client[chosen])
        eers.append(figures(curve, convex_hull(curve), 0.0, DEFAULT_COSTS)["eer_percent"])
    assert high - low > 1.5 * np.subtract(*np.percentile(eers, (97.5, 2.5)))


def test_band_encloses_the_curve_and_narrows_nowhere_to_nothing():
    trials, scores = make_trials(num_speakers=20, num_utterances=10, num_trials=5000)
    low, high = find(trials, scores).band
    curve = detection_curve(scores, trials.is_client)
    inner = (intervals.BAND_RATES > 0.02) & (intervals.BAND_RATES < 0.5)
    rates = intervals.BAND_RATES[inner]
    miss = [curve.miss[curve.false_alarm <= rate].min() for rate in rates]
    assert (low[inner] < miss).all() and (miss < high[inner]).all()


def test_few_speakers_give_no_intervals():
    trials, scores = make_trials(num_speakers=4, num_utterances=3, num_trials=100)
    assert find(trials, scores) == intervals.NO_INTERVALS


def test_speakers_that_are_not_in_the_trials_are_not_drawn():
    trials, scores = make_trials(num_speakers=8, num_utterances=3, num_trials=300)
    more = Trials(
        [f"none{i}/0" for i in range(50)] + trials.utterances,
        trials.enrol + 50,
        trials.test + 50,
        trials.is_client,
        [],
    )
    assert find(more, scores).limits() == find(trials, scores).limits()
