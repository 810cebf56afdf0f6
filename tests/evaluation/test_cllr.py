"""Cllr, its minimum and the convex hull: by hand, against llreval, and their properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llreval.cllr import cllr as llreval_cllr
from llreval.cllr import min_cllr as llreval_min_cllr
from llreval.pav_rocch import PAV, ROCCH
from test_metrics import PRIORS, TRIALS, normal_scores, scored

from local.evaluation.cllr import cllr, convex_hull, hull_llrs, llr_costs, min_cllr
from local.evaluation.metrics import curve_eer, curve_min_dcf, detection_curve


def scored_few():
    return tuple(map(np.array, scored([0.3, 2.5, 1.0], [1.5, -0.2, -1.0, 0.4])))


SMALL_LISTS = {
    "normal": normal_scores(500, seed=0),
    "ties": (np.round(normal_scores(500, seed=1)[0]), normal_scores(500, seed=1)[1]),
    "few": scored_few(),
    "one of each": (np.array([1.0, 2.0]), np.array([True, False])),
    "constant": (np.zeros(5), np.array([True, False, False, True, False])),
    "perfect": (np.array([-2.0, -1.0, 1.0, 3.0]), np.array([False, False, True, True])),
    "inverted": (np.array([2.0, 1.0, -1.0]), np.array([False, False, True])),
    "one client": (np.arange(9.0), np.arange(9) == 4),
}


@pytest.mark.parametrize("name", SMALL_LISTS)
def test_hull_and_cllr_agree_with_llreval(name):
    scores, is_client = SMALL_LISTS[name]
    hull = convex_hull(detection_curve(scores, is_client))
    pav = PAV(scores, is_client.astype(int))
    miss, false_alarm = ROCCH(pav).Pmiss_Pfa()
    np.testing.assert_allclose(hull.miss, miss, atol=1e-9)
    np.testing.assert_allclose(hull.false_alarm, false_alarm, atol=1e-9)
    np.testing.assert_allclose(hull_llrs(hull), pav.llrs()[0], atol=1e-9)
    assert min_cllr(hull) == pytest.approx(llreval_min_cllr(pav), abs=1e-9)
    expected = llreval_cllr(scores[is_client], scores[~is_client])
    assert cllr(scores, is_client) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", SMALL_LISTS)
def test_costs_and_eer_of_the_hull_agree_with_llreval(name):
    curve = detection_curve(*SMALL_LISTS[name])
    hull = convex_hull(curve)
    rocch = ROCCH(PAV(SMALL_LISTS[name][0], SMALL_LISTS[name][1].astype(int)))
    for p_target in (0.01, 0.05, 0.5, 0.9):
        expected = rocch.Bayes_error_rate(np.log(p_target / (1 - p_target))) / min(
            p_target, 1 - p_target
        )
        assert curve_min_dcf(curve, p_target)[0] == pytest.approx(expected, abs=1e-9)
        assert curve_min_dcf(hull, p_target)[0] == pytest.approx(expected, abs=1e-9)
    # llreval searches for it: the highest Bayes error rate over all priors.
    assert curve_eer(hull)[0] == pytest.approx(rocch.EER(), abs=1e-6)
    assert curve_eer(hull)[0] >= rocch.EER() - 1e-9


def test_cllr_by_hand():
    # log2(1 + 1/3) of the client, log2(1 + 3) and log2(1 + 1) of the impostors.
    scores = np.log([3.0, 3.0, 1.0])
    costs = [np.log2(4 / 3), 2.0, 1.0]
    np.testing.assert_allclose(llr_costs(scores, [True, False, False]), costs)
    expected = 0.5 * costs[0] + 0.5 * 1.5
    assert cllr(scores, [True, False, False]) == pytest.approx(expected, abs=1e-15)


def test_hull_by_hand():
    # Impostor, client, impostor, impostor, client: the middle three have the ratio 1/2 : 2/3.
    hull = convex_hull(detection_curve(*scored([2.0, 5.0], [1.0, 3.0, 4.0])))
    assert hull.thresholds.tolist()[:3] == [1.0, 2.0, 5.0]
    np.testing.assert_allclose(hull.miss, [0.0, 0.0, 0.5, 1.0])
    np.testing.assert_allclose(hull.false_alarm, [1.0, 2 / 3, 0.0, 0.0])
    np.testing.assert_allclose(hull_llrs(hull), [-np.inf, np.log(0.75), np.inf])
    # miss = 2/3 - 4/3 of it.
    assert curve_eer(hull)[0] == pytest.approx(2 / 7)
    expected = 0.5 * (0.5 * np.log2(1 + 4 / 3) + 2 / 3 * np.log2(1 + 3 / 4))
    assert min_cllr(hull) == pytest.approx(expected)


def test_costs_of_extreme_scores_are_finite():
    assert cllr(np.array([1e38, -1e38], np.float32), [True, False]) == 0.0
    assert cllr([-1000.0, 0.0], [True, False]) == pytest.approx(0.5 * (1000 / np.log(2) + 1))


@given(TRIALS)
def test_hull_is_convex_and_below_the_curve(trials):
    curve = detection_curve(*trials)
    hull = convex_hull(curve)
    edges = np.diff(hull.false_alarm), np.diff(hull.miss)
    # Edges run to the left and upwards: what is below one of them is to its left.
    towards = np.subtract.outer(curve.false_alarm, hull.false_alarm[:-1]) * edges[1]
    across = np.subtract.outer(curve.miss, hull.miss[:-1]) * edges[0]
    assert (towards - across >= -1e-12).all()
    assert curve_eer(hull)[0] <= curve_eer(curve)[0] + 1e-12


@given(TRIALS, PRIORS)
def test_no_threshold_of_the_curve_costs_less_than_the_hull(trials, p_target):
    curve = detection_curve(*trials)
    costs = [curve_min_dcf(c, p_target, 2.0, 3.0)[0] for c in (curve, convex_hull(curve))]
    assert costs[0] == pytest.approx(costs[1], abs=1e-12)


@given(TRIALS, st.floats(0.1, 3.0), st.floats(-3.0, 3.0))
def test_minimum_is_reached_by_no_line_through_the_scores(trials, scale, offset):
    scores, is_client = trials
    minimum = min_cllr(convex_hull(detection_curve(*trials)))
    assert 0.0 <= minimum <= 1.0
    assert cllr(scale * scores + offset, is_client) >= minimum - 1e-12


@given(TRIALS)
def test_minimum_is_the_cllr_of_the_mapped_scores(trials):
    scores, is_client = trials
    curve = detection_curve(*trials)
    hull = convex_hull(curve)
    step = np.searchsorted(hull.thresholds, scores, side="right") - 1
    mapped = np.clip(hull_llrs(hull)[step], -1e300, 1e300)
    assert cllr(mapped, is_client) == pytest.approx(min_cllr(hull), abs=1e-12)


@given(TRIALS)
def test_negated_scores_with_swapped_roles_are_the_same_task(trials):
    scores, is_client = trials
    assert cllr(-scores, ~is_client) == pytest.approx(cllr(scores, is_client), abs=1e-12)
    minima = [
        min_cllr(convex_hull(detection_curve(*task))) for task in (trials, (-scores, ~is_client))
    ]
    assert minima[0] == pytest.approx(minima[1], abs=1e-12)
