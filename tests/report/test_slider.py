"""The points of a curve that the report's slider has."""

import numpy as np
import pytest
from systems import drawn_scores, drawn_trials, make_system

from local.evaluation.cllr import convex_hull
from local.evaluation.metrics import curve_act_dcf, curve_min_dcf, detection_curve
from local.lists.trials import Trials
from local.report.slider import shown_points, slider_data


def test_points_have_the_lowest_cost_of_any_prior():
    trials = drawn_trials(50_000)
    curve = detection_curve(drawn_scores(trials), trials.is_client)
    points = shown_points(curve)
    assert len(points) < 2000 < len(curve.thresholds)
    assert (points[0], points[-1]) == (0, len(curve.thresholds) - 1)
    thinned = type(curve)(*(values[points] for values in curve))
    assert set(convex_hull(curve).thresholds) <= set(thinned.thresholds)
    for p_target in (1e-4, 0.01, 0.3, 0.5, 0.97):
        assert curve_min_dcf(thinned, p_target) == curve_min_dcf(curve, p_target)
    # No gap that can be seen, in either rate.
    for rate in (thinned.miss, thinned.false_alarm):
        assert np.abs(np.diff(rate)).max() < 0.01


def test_few_points_are_all_shown():
    trials = drawn_trials(400)
    system = make_system(trials, drawn_scores(trials))
    assert shown_points(system.curve).tolist() == list(range(len(system.curve.thresholds)))


@pytest.mark.parametrize("num_trials", [40, 20_000])
def test_marks_lie_where_the_summary_says(num_trials):
    trials = drawn_trials(num_trials)
    system = make_system(trials, drawn_scores(trials))
    data = slider_data(system)
    assert data["is_complete"] == (num_trials == 40)
    for mark in data["marks"]:
        rates = [
            data[counts][mark["point"]] / system.summary[total]
            for counts, total in (("num_missed", "num_clients"), ("num_accepted", "num_impostors"))
        ]
        if mark["name"] == "eer":
            eer = system.summary["eer_percent"] / 100.0
            assert min(rates) <= eer + 1e-12 and eer - 1e-12 <= max(rates)
            assert data["thresholds"][mark["point"]] == system.summary["eer_threshold"]
        else:
            p_target = mark["p_target"]
            cost = (p_target * rates[0] + (1.0 - p_target) * rates[1]) / p_target
            assert cost == pytest.approx(system.summary[mark["name"]], abs=1e-12)


def test_a_bayes_threshold_above_all_scores_accepts_none():
    curve = detection_curve([0.1, 0.2], [False, True])
    assert curve_act_dcf(curve, 0.05)[0] == 1.0
    trials = Trials(["a", "b"], np.array([0, 0]), np.array([1, 1]), np.array([False, True]), [])
    data = slider_data(make_system(trials, np.array([0.1, 0.2])))
    bayes = next(mark for mark in data["marks"] if mark["name"] == "act_dcf_0.05")
    assert (data["num_missed"][bayes["point"]], data["num_accepted"][bayes["point"]]) == (1, 0)
