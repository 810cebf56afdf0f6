"""Calibration: against what is known of the scores, scikit-learn, and its own promises."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from local.errors import InputError
from local.evaluation import calibration, logistic_regression
from local.evaluation.calibration import Calibration, apply, fit
from local.evaluation.cllr import cllr, convex_hull, min_cllr
from local.evaluation.logistic_regression import fit_llrs
from local.evaluation.metrics import detection_curve
from local.lists.trials import Trials
from local.scoring.quality import trial_inputs


def make_llrs(num_trials, mean=2.0, seed=0, share=0.3):
    """Scores that are log-likelihood ratios: normal, of means +-mean and variance 2 mean."""
    rng = np.random.default_rng(seed)
    is_client = rng.random(num_trials) < share
    noise = np.sqrt(2.0 * mean) * rng.standard_normal(num_trials)
    return np.where(is_client, mean, -mean) + noise, is_client


@pytest.mark.parametrize("p_target", [0.01, 0.05, 0.5, 0.9])
def test_true_llrs_are_found_again_under_any_map(p_target):
    llrs, is_client = make_llrs(200_000)
    learnt = fit(0.02 * llrs[:, None] + 0.4, is_client, p_target)
    assert learnt.weights["score"] == pytest.approx(1 / 0.02, rel=0.06)
    np.testing.assert_allclose(apply(learnt, np.array([[0.4]])), 0.0, atol=0.15)


@pytest.mark.parametrize("p_target", [0.01, 0.5])
@pytest.mark.parametrize("num_inputs", [1, 3])
def test_weights_are_those_of_scikit_learn(p_target, num_inputs):
    rng = np.random.default_rng(num_inputs)
    scores, is_client = make_llrs(2000, mean=0.8)
    inputs = np.column_stack([scores, *rng.standard_normal((num_inputs - 1, 2000))])
    weights, offset = fit_llrs(inputs, is_client, p_target)
    share = np.count_nonzero(is_client) / len(is_client)
    each = np.where(is_client, p_target / share, (1 - p_target) / (1 - share))
    oracle = LogisticRegression(C=1e12, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    oracle.fit(inputs, is_client, sample_weight=each)
    np.testing.assert_allclose(weights, oracle.coef_[0], rtol=1e-5, atol=1e-6)
    prior = np.log(p_target / (1 - p_target))
    assert offset == pytest.approx(oracle.intercept_[0] - prior, abs=1e-5)


@pytest.mark.parametrize("p_target", [1e-5, 0.01, 0.5])
def test_the_penalty_moves_no_llr_by_a_millionth(monkeypatch, p_target):
    # An EER of 0.6 %: the better the scores, the flatter the cost.
    scores, is_client = make_llrs(20_000, mean=6.0)
    llrs = []
    for penalty in (logistic_regression.PENALTY, 1e-16):
        monkeypatch.setattr(logistic_regression, "PENALTY", penalty)
        weights, offset = fit_llrs(scores[:, None], is_client, p_target)
        llrs.append(weights * scores + offset)
    np.testing.assert_allclose(*llrs, rtol=0, atol=1e-6)


@given(st.integers(0, 100), st.floats(0.01, 100), st.floats(-50, 50), st.booleans())
def test_affine_maps_of_the_scores_give_the_same_llrs(seed, scale, offset, is_turned):
    scores, is_client = make_llrs(300, mean=0.5, seed=seed)
    scale = -scale if is_turned else scale
    expected = apply(fit(scores[:, None], is_client, 0.05), scores[:, None])
    mapped = scale * scores[:, None] + offset
    np.testing.assert_allclose(apply(fit(mapped, is_client, 0.05), mapped), expected, atol=1e-5)


@given(st.integers(0, 100), st.floats(0.2, 3.0))
def test_cllr_is_lowered_and_no_lower_than_its_minimum(seed, mean):
    llrs, is_client = make_llrs(400, mean=mean, seed=seed)
    scores = 0.1 * llrs + 0.3
    after = cllr(apply(fit(scores[:, None], is_client, 0.5), scores[:, None]), is_client)
    assert after <= cllr(scores, is_client) + 1e-9 and after <= 1.0
    assert after >= min_cllr(convex_hull(detection_curve(scores, is_client))) - 1e-9


IS_CLIENT = np.array([False, False, False, True, True])


@pytest.mark.parametrize(
    "scores, warning",
    [
        ([0.1, 0.2, 0.3, 0.8, 0.9], "separate clients from impostors completely"),
        ([0.5] * 5, "all scores are equal"),
        ([0.9, 0.8, 0.7, 0.2, 0.1], "the weight of the score is negative"),
        ([1e30, 1e30, 1e30, 1e30, 2e30], "separate clients from impostors"),
    ],
)
def test_odd_scores_give_finite_llrs_and_a_warning(caplog, scores, warning):
    inputs = np.array(scores)[:, None]
    learnt = fit(inputs, IS_CLIENT, 0.05)
    llrs = apply(learnt, inputs)
    assert np.isfinite(llrs).all() and np.isfinite(list(learnt.weights.values())).all()
    assert cllr(llrs, IS_CLIENT) <= 1.0 + 1e-9
    assert warning in caplog.text


def test_equal_scores_say_nothing():
    # Their mean is not exactly 0.3, so that rounding gives them a deviation.
    learnt = fit(np.full((10, 1), 0.3), np.tile(IS_CLIENT, 2), 0.05)
    llrs = apply(learnt, np.array([[0.3], [9.0]]))
    assert llrs.tolist() == pytest.approx([0.0, 0.0], abs=1e-9)


TRIALS = Trials(["a", "b"], np.array([0, 1]), np.array([1, 0]), np.array([True, False]), [])
WITH_QUALITY = Calibration(
    {"score": 2.0, "log_seconds_shorter": 10.0, "log_seconds_longer": 100.0},
    0.25,
    0.05,
    ("log_seconds",),
    {"scores": "dev/ä.txt"},
)


def test_quality_measures_are_the_same_for_both_orders_of_the_sides():
    quality = {"seconds": np.array([1.0, np.e**2])}
    inputs = trial_inputs(WITH_QUALITY.quality, TRIALS, np.array([0.5, 0.5]), quality)
    assert apply(WITH_QUALITY, inputs).tolist() == [201.25, 201.25]


@pytest.mark.parametrize("quality", [None, {}, {"cohort_mean": np.zeros(2)}])
def test_a_missing_measure_is_named(quality):
    with pytest.raises(InputError, match="log_seconds is not known.*quality.txt"):
        trial_inputs(WITH_QUALITY.quality, TRIALS, np.array([0.5, 0.5]), quality)


def test_a_calibration_comes_back_from_its_file(tmp_path):
    calibration.save(tmp_path / "c.json", WITH_QUALITY)
    assert calibration.load(tmp_path / "c.json") == WITH_QUALITY
    text = (tmp_path / "c.json").read_text()
    assert '"log_seconds_shorter": 10.0' in text and "ä" in text


GOOD = {"weights": {"score": 1.0}, "offset": 0.0, "p_target": 0.5, "quality": []}


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "is no calibration"),
        ("[]", "is no calibration"),
        ({key: value for key, value in GOOD.items() if key != "offset"}, "'offset' is missing"),
        (GOOD | {"weights": {"score": "1"}}, "score: 1 is not a finite number"),
        (GOOD | {"weights": {"score": float("nan")}}, "score: nan is not a finite number"),
        (GOOD | {"offset": float("inf")}, "offset: inf is not a finite number"),
        (GOOD | {"weights": {}}, "has weights of nothing, not of score"),
        (GOOD | {"quality": ["log_seconds"]}, "has weights of score, not of score, log_seconds_sh"),
        (GOOD | {"quality": ["snr"]}, "'snr' is no quality measure"),
        (GOOD | {"p_target": 1.0}, "p_target: 1.0 is not between 0 and 1"),
        (None, r"can't be read \(No such file"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
    path = tmp_path / "c.json"
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError, match=f"c.json: .*{message}"):
        calibration.load(path)
