"""The figures of a verification: what they are, how they are printed and kept."""

import json

import pytest

from local.errors import InputError
from local.metrics import detection_curve
from local.summary import format_summary, summarise, write_metrics

SCORES = [0.9, 0.6, 0.4, 0.5, 0.3, 0.2, 0.1]
IS_CLIENT = [True] * 3 + [False] * 4


def test_summary_by_hand():
    assert summarise(SCORES, IS_CLIENT) == {
        "num_trials": 7,
        "num_clients": 3,
        "num_impostors": 4,
        "eer_percent": 25.0,
        "eer_threshold": 0.5,
        "min_dcf_0.01": pytest.approx(1 / 3),
        "min_dcf_0.01_threshold": 0.6,
        "min_dcf_0.05": pytest.approx(1 / 3),
        "min_dcf_0.05_threshold": 0.6,
    }


def test_a_curve_that_is_there_is_used():
    curve = detection_curve([1.0, 2.0], [False, True])
    assert summarise(SCORES, IS_CLIENT, curve)["eer_threshold"] == 2.0


def test_printed_table():
    summary = summarise(SCORES, IS_CLIENT) | {"num_trials": 12_497_500}
    assert format_summary(summary).splitlines() == [
        "trials            12,497,500",
        "  clients                  3",
        "  impostors                4",
        "EER                   25.000 %  at threshold 0.5000",
        "minDCF (p = 0.01)     0.3333    at threshold 0.6000",
        "minDCF (p = 0.05)     0.3333    at threshold 0.6000",
    ]


def test_metrics_come_back_from_json(tmp_path):
    summary = summarise(SCORES, IS_CLIENT)
    write_metrics(tmp_path / "metrics.json", summary)
    assert json.loads((tmp_path / "metrics.json").read_text()) == summary


def test_what_json_does_not_know_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_metrics(tmp_path / "metrics.json", {"eer_percent": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="metrics.json: can't be written"):
        write_metrics(tmp_path / "missing" / "metrics.json", {})
