"""What decides: a calibration, a threshold that was given, or that of the validation."""

import json
import math

import numpy as np
import pytest
from exports import write_weights

from local.errors import InputError
from local.evaluation.calibration import Calibration
from local.evaluation.decision import (
    GIVEN,
    UNKNOWN,
    VALIDATED,
    Decision,
    of_calibration,
    of_trials,
    read_decision,
    write_decision,
)
from local.lists.trials import Trials
from local.model_files.model_dir import load_model
from local.scoring.trial_scores import TrialScores

CALIBRATION = Calibration({"score": 20.0}, -8.0, 0.05, (), {"num_trials": 1234})


def test_a_threshold_moves_with_the_prior():
    decision = of_calibration(CALIBRATION)
    assert decision.threshold == pytest.approx(0.4) == decision.threshold_at(0.5)
    # 20 s - 8 = log(9)
    assert decision.threshold_at(0.1) == pytest.approx((8 + math.log(9)) / 20)
    assert decision.llrs([0.4, 0.5]) == pytest.approx([0.0, 2.0], abs=1e-6)
    assert decision.where == "its calibration, learnt on 1,234 trials"


def test_without_a_calibration_nothing_is_known_of_likelihoods():
    decision = Decision(0.3, VALIDATED)
    assert decision.llrs([0.4]) is None and decision.threshold_at(0.01) == 0.3
    assert Decision(None, UNKNOWN).threshold_at(0.5) is None


def test_trials_give_a_threshold(tmp_path):
    # Two in three impostors at 0, two in three clients at 1: log(2) at 1, and -log(2) at 0.
    scores = np.array([0, 0, 1, 0, 1, 1], np.float32)
    sides = np.array([0] * 6), np.array([1] * 6)
    trials = Trials(["a", "b"], *sides, np.array([False] * 3 + [True] * 3), [])
    decision = of_trials(TrialScores("cosine", trials, scores, {}, {}, []), tmp_path)
    assert decision.threshold == pytest.approx(0.5, abs=1e-6)
    assert decision.llrs([1.0]) == pytest.approx([math.log(2)], abs=1e-6)
    assert decision.calibration.learnt_on["scores"] == str(tmp_path / "scores.txt")


def test_what_is_kept_comes_before_the_validation(model_dir):
    model = load_model(model_dir)
    assert read_decision(model) == Decision(0.375, VALIDATED)
    path = write_decision(model, of_calibration(CALIBRATION))
    assert path == model_dir / "decision.json"
    assert read_decision(load_model(model_dir)) == of_calibration(CALIBRATION)
    write_decision(model, Decision(-0.25, GIVEN))
    assert read_decision(model) == Decision(-0.25, GIVEN)


@pytest.mark.parametrize("threshold", [None, math.nan])
def test_a_model_may_know_no_threshold(model_dir, threshold):
    write_weights(model_dir, threshold=threshold)
    assert read_decision(load_model(model_dir)) == Decision(None, UNKNOWN)


def test_other_weights_are_not_decided_by_it(model_dir, caplog):
    write_decision(load_model(model_dir), of_calibration(CALIBRATION))
    write_weights(model_dir, seed=1, step=80)
    assert read_decision(load_model(model_dir)) == Decision(0.375, VALIDATED)
    assert "decision.json: is not used, as it belongs to other weights" in caplog.text


def test_a_copy_is_the_same_model(model_dir, tmp_path):
    digest = load_model(model_dir)["digest"]
    (path,) = model_dir.glob("model_*.pt")
    path.rename(path.with_name("model_00000099.pt"))
    write_weights(model_dir, step=99, optimizer={"state": {"a": 1}}, eer_percent=1.0)
    assert load_model(model_dir)["digest"] == digest
    write_weights(model_dir, step=99, seed=1)
    assert load_model(model_dir)["digest"] != digest


@pytest.mark.parametrize(
    "calibration, message",
    [
        (CALIBRATION._replace(quality=("log_seconds",)), "with quality measures can't be kept"),
        (CALIBRATION._replace(offset=-21.0), "no cosine decides. Was it learnt on other scores"),
        (CALIBRATION._replace(weights={"score": 0.0}), "no cosine decides"),
        (CALIBRATION._replace(weights={"score": -20.0}), "no cosine decides"),
    ],
)
def test_calibrations_that_a_model_can_not_decide_by(calibration, message):
    with pytest.raises(InputError, match=message):
        of_calibration(calibration)


KEPT = {"model": "x", "threshold": 0.5, "calibration": None}


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ({"model": "x", "threshold": 0.5}, "'calibration' is missing"),
        (KEPT | {"threshold": 1.5}, "1.5 is no cosine"),
        (KEPT | {"threshold": math.nan}, "nan is no cosine"),
        (KEPT | {"threshold": "0.5"}, "0.5 is no cosine"),
        (KEPT | {"calibration": {}}, "'quality' is missing"),
        (KEPT | {"calibration": CALIBRATION._asdict() | {"offset": "a"}}, "offset: a is not a fin"),
        (KEPT | {"calibration": CALIBRATION._asdict() | {"learnt_on": 3}}, "is damaged"),
    ],
)
def test_damaged_files_are_refused(model_dir, content, message):
    text = content if isinstance(content, str) else json.dumps(content)
    (model_dir / "decision.json").write_text(text)
    with pytest.raises(InputError, match=f"decision.json: .*{message}"):
        read_decision(load_model(model_dir))
