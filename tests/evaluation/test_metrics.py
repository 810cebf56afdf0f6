"""EER and minDCF: against numbers by hand, scikit-learn, SpeechBrain, and their own definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import det_curve, roc_curve
from speechbrain.utils.metric_stats import EER as speechbrain_eer
from speechbrain.utils.metric_stats import minDCF as speechbrain_min_dcf

from local.evaluation.metrics import (
    bayes_threshold,
    curve_act_dcf,
    curve_eer,
    curve_min_dcf,
    detection_curve,
    eer,
)

# Whole numbers, so that many scores are equal and increasing maps of them are exact.
TRIALS = (
    st.lists(st.tuples(st.integers(-20, 20), st.booleans()), min_size=2, max_size=60)
    .filter(lambda trials: len({is_client for _, is_client in trials}) == 2)
    .map(lambda trials: (np.array([s for s, _ in trials], float), np.array([c for _, c in trials])))
)
PRIORS = st.sampled_from([0.01, 0.05, 0.5, 0.9])


def min_dcf(scores, is_client, *args, **costs):
    return curve_min_dcf(detection_curve(scores, is_client), *args, **costs)


def scored(clients, impostors):
    return clients + impostors, [True] * len(clients) + [False] * len(impostors)


def normal_scores(num_trials, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    is_client = rng.random(num_trials) < 0.3
    return (rng.standard_normal(num_trials) + 2.0 * is_client).astype(dtype), is_client


def test_curve_by_hand_groups_equal_scores():
    curve = detection_curve(*scored([2.0, 2.0, 3.0, 1.0], [1.0, 0.0]))
    assert curve.thresholds.tolist() == [0.0, 1.0, 2.0, 3.0, np.nextafter(3.0, 4.0)]
    assert curve.miss.tolist() == [0.0, 0.0, 0.25, 0.75, 1.0]
    assert curve.false_alarm.tolist() == [1.0, 0.5, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "clients, impostors, expected",
    [
        ([0.9, 0.8], [0.1, 0.2, 0.3], (0.0, 0.8)),
        ([0.1, 0.2], [0.8, 0.9], (1.0, 0.8)),
        ([0.5, 0.5, 0.5], [0.5], (0.5, 0.5)),
        # Unequal classes: a client step crosses the false-alarm rate of 1/4 ...
        ([0.9, 0.6, 0.4], [0.5, 0.3, 0.2, 0.1], (0.25, 0.5)),
        # ... and an impostor step the miss rate of 1/4.
        ([0.9, 0.8, 0.7, 0.3], [0.6, 0.2, 0.1], (0.25, 0.6)),
        # Equal scores: from miss 0, false alarm 3/4 to 1/4, 1/4 exactly.
        ([1.0, 2.0, 2.0, 3.0], [0.0, 1.0, 1.0, 2.0], (0.25, 2.0)),
        # A slanting step from miss 0, false alarm 1/2 to 1/2, 0: the middle, the lower threshold.
        ([1.0, 2.0], [0.0, 1.0], (0.25, 1.0)),
        # From miss 0, false alarm 2/3 to 1/2, 0: they meet at 4/7 of the way.
        ([1.0, 2.0], [0.0, 1.0, 1.0], (2.0 / 7.0, 2.0)),
    ],
)
def test_eer_by_hand(clients, impostors, expected):
    assert eer(*scored(clients, impostors)) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    "costs, expected",
    [
        # At thresholds 0.4, 0.5, 0.6, 0.9: miss 0, 1/3, 1/3, 2/3; false alarm 1/4, 1/4, 0, 0.
        ({"p_target": 0.5}, (0.25, 0.4)),
        ({"p_target": 0.01}, (1.0 / 3.0, 0.6)),
        ({"p_target": 0.5, "c_miss": 10.0}, (0.25, 0.4)),
        ({"p_target": 0.5, "c_false_alarm": 10.0}, (1.0 / 3.0, 0.6)),
        ({"p_target": 0.01, "c_miss": 99.0}, (0.25, 0.4)),
    ],
)
def test_min_dcf_by_hand(costs, expected):
    trials = scored([0.9, 0.6, 0.4], [0.5, 0.3, 0.2, 0.1])
    assert min_dcf(*trials, **costs) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("p_target, best", [(0.01, "none"), (0.99, "all")])
def test_min_dcf_of_inverted_scores_accepts_none_or_all(p_target, best):
    scores, is_client = scored([0.1, 0.2], [0.8, 0.9])
    cost, threshold = min_dcf(scores, is_client, p_target)
    assert cost == 1.0
    assert (np.array(scores) >= threshold).tolist() == [best == "all"] * 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("decimals", [1, 12])
def test_curve_agrees_with_scikit_learn(dtype, decimals):
    scores, is_client = normal_scores(3000, seed=decimals, dtype=dtype)
    scores = np.round(scores, decimals)
    curve = detection_curve(scores, is_client)
    false_alarm, hit, thresholds = roc_curve(is_client, scores, drop_intermediate=False)
    assert curve.thresholds.dtype == dtype
    np.testing.assert_array_equal(curve.thresholds[:-1], thresholds[:0:-1])
    np.testing.assert_allclose(curve.miss, 1.0 - hit[::-1], atol=1e-9)
    np.testing.assert_allclose(curve.false_alarm, false_alarm[::-1], atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_agree_with_scikit_learn(seed):
    scores, is_client = normal_scores(2000, seed)
    false_alarm, miss, _ = det_curve(is_client, scores)
    # No two scores are equal: at the crossing, the higher of the rates is as low as it gets.
    assert eer(scores, is_client)[0] == pytest.approx(np.maximum(false_alarm, miss).min(), abs=1e-9)
    for p_target in (0.01, 0.05, 0.5):
        costs = p_target * miss + (1.0 - p_target) * false_alarm
        expected = costs.min() / min(p_target, 1.0 - p_target)
        assert min_dcf(scores, is_client, p_target)[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_agree_with_speechbrain(seed):
    scores, is_client = normal_scores(300, seed)
    clients, impostors = torch.tensor(scores[is_client]), torch.tensor(scores[~is_client])
    # SpeechBrain takes the mean of the two rates where they are closest: up to a step away.
    step = 1.0 / len(clients)
    assert eer(scores, is_client)[0] == pytest.approx(
        speechbrain_eer(clients, impostors)[0], abs=step
    )
    cost, _ = speechbrain_min_dcf(clients, impostors, p_target=0.05)
    assert min_dcf(scores, is_client, 0.05)[0] == pytest.approx(cost / 0.05, abs=1e-6)


@pytest.mark.parametrize(
    "costs, expected",
    [
        # At the threshold ln(99): miss 2/3, false alarm 1/2. One and nine times that, and both.
        ({"p_target": 0.01}, (2 / 3 + 99 / 2, np.log(99.0))),
        ({"p_target": 0.01, "c_miss": 11.0}, (1 / 3 + 9 / 2, np.log(9.0))),
        ({"p_target": 0.5}, (1 / 3 + 1 / 2, 0.0)),
        ({"p_target": 0.5, "c_false_alarm": 1e9}, (1.0, np.log(1e9))),
        ({"p_target": 0.5, "c_miss": 1e9}, (1.0, -np.log(1e9))),
    ],
)
def test_act_dcf_by_hand(costs, expected):
    curve = detection_curve(*scored([5.0, 3.0, -1.0], [6.0, -2.0]))
    assert curve_act_dcf(curve, **costs) == pytest.approx(expected, abs=1e-12)


def test_a_score_at_the_bayes_threshold_is_accepted():
    threshold = bayes_threshold(0.05)
    curve = detection_curve(*scored([threshold], [threshold - 1e-9]))
    assert curve_act_dcf(curve, 0.05)[0] == 0.0


@given(TRIALS, PRIORS)
def test_actual_costs_are_those_of_the_decisions_and_no_lower_than_the_minimum(trials, p_target):
    scores, is_client = trials
    cost, threshold = curve_act_dcf(detection_curve(*trials), p_target, 2.0, 3.0)
    accepted = scores >= threshold
    miss, false_alarm = np.mean(~accepted[is_client]), np.mean(accepted[~is_client])
    default = min(2.0 * p_target, 3.0 * (1.0 - p_target))
    expected = (2.0 * p_target * miss + 3.0 * (1.0 - p_target) * false_alarm) / default
    assert cost == pytest.approx(expected, abs=1e-12)
    assert cost >= min_dcf(*trials, p_target, 2.0, 3.0)[0]


@given(TRIALS)
def test_every_threshold_of_the_curve_gives_its_rates(trials):
    scores, is_client = trials
    for threshold, miss, false_alarm in zip(*detection_curve(*trials), strict=True):
        assert miss == np.mean(scores[is_client] < threshold)
        assert false_alarm == np.mean(scores[~is_client] >= threshold)


@given(TRIALS)
def test_eer_lies_between_the_rates_around_its_threshold(trials):
    rate, threshold = eer(*trials)
    curve = detection_curve(*trials)
    at = np.flatnonzero(curve.thresholds == threshold)
    around = np.concatenate([at - 1, at, at + 1]).clip(0, len(curve.thresholds) - 1)
    assert curve.miss[around].min() <= rate <= curve.miss[around].max()
    assert curve.false_alarm[around].min() <= rate <= curve.false_alarm[around].max()


@given(TRIALS, PRIORS)
def test_metrics_are_in_range(trials, p_target):
    assert 0.0 <= eer(*trials)[0] <= 1.0
    assert 0.0 <= min_dcf(*trials, p_target)[0] <= 1.0


@given(TRIALS, PRIORS, st.sampled_from([lambda s: s + 7.0, lambda s: 0.5 * s, lambda s: s**3]))
def test_increasing_maps_move_only_the_thresholds(trials, p_target, increasing):
    scores, is_client = trials
    rate, threshold = eer(scores, is_client)
    assert eer(increasing(scores), is_client) == (rate, increasing(threshold))
    cost, _ = min_dcf(scores, is_client, p_target)
    assert min_dcf(increasing(scores), is_client, p_target)[0] == cost


@given(TRIALS, PRIORS)
def test_negated_scores_with_swapped_roles_are_the_same_task(trials, p_target):
    scores, is_client = trials
    assert eer(-scores, ~is_client)[0] == pytest.approx(eer(scores, is_client)[0], abs=1e-12)
    cost, _ = min_dcf(scores, is_client, p_target, c_miss=2.0, c_false_alarm=3.0)
    swapped, _ = min_dcf(-scores, ~is_client, 1.0 - p_target, c_miss=3.0, c_false_alarm=2.0)
    assert swapped == pytest.approx(cost, abs=1e-12)


@given(TRIALS, PRIORS, st.integers(0, 2**32 - 1))
def test_the_order_of_the_trials_does_not_matter(trials, p_target, seed):
    scores, is_client = trials
    order = np.random.default_rng(seed).permutation(len(scores))
    assert eer(scores[order], is_client[order]) == eer(scores, is_client)
    shuffled = min_dcf(scores[order], is_client[order], p_target)
    assert shuffled == min_dcf(scores, is_client, p_target)


def test_one_curve_serves_all_metrics():
    trials = normal_scores(500, seed=0)
    curve = detection_curve(*trials)
    assert curve_eer(curve) == eer(*trials)
    assert curve_min_dcf(curve, 0.05, 2.0, 3.0) == min_dcf(*trials, 0.05, 2.0, 3.0)


@pytest.mark.parametrize(
    "scores, is_client, message",
    [
        ([], [], "there are 0 client trials and 0 impostor trials"),
        ([0.1, 0.2], [True], r"got shapes \(2,\) and \(1,\)"),
        ([[0.1, 0.2]], [[True, False]], r"got shapes \(1, 2\) and \(1, 2\)"),
        ([0.1, 0.2], [1, 0], "must be True or False per trial, got int64"),
        ([0.1, np.nan, 0.2], [True, False, False], "score 1 .* is nan, 1 of 3 are not finite"),
        ([0.1, 0.2, -np.inf], [True, False, False], "score 2 .* is -inf"),
        ([0.1, 0.2], [True, True], "there are 2 client trials and 0 impostor trials"),
        (
            [0.1, 0.2],
            [False, False],
            "there are 0 client trials and 2 impostor trials",
        ),
    ],
)
def test_unusable_trials_are_refused(scores, is_client, message):
    with pytest.raises(ValueError, match=message):
        detection_curve(scores, is_client)


@pytest.mark.parametrize(
    "costs, message",
    [
        ({"p_target": 0.0}, "p_target must be between 0 and 1, got 0.0"),
        ({"p_target": 1.0}, "p_target must be between 0 and 1, got 1.0"),
        ({"p_target": float("nan")}, "got nan"),
        ({"p_target": 0.5, "c_miss": 0.0}, "costs must be above 0, got c_miss=0.0"),
        ({"p_target": 0.5, "c_false_alarm": -1.0}, "c_false_alarm=-1.0"),
    ],
)
def test_impossible_costs_are_refused(costs, message):
    with pytest.raises(ValueError, match=message):
        min_dcf([0.1, 0.2], [False, True], **costs)
