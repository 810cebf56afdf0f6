"""The figures of a verification: what they are, how they are printed and kept."""

import json

import numpy as np
import pytest

from local.errors import InputError
from local.evaluation.metrics import detection_curve
from local.evaluation.summary import Costs, format_summary, summarise, write_json

SCORES = [0.9, 0.6, 0.4, 0.5, 0.3, 0.2, 0.1]
IS_CLIENT = [True] * 3 + [False] * 4


def test_summary_by_hand():
    cllr = 0.5 * np.mean(np.log2(1 + np.exp(-np.array(SCORES[:3]))))
    cllr += 0.5 * np.mean(np.log2(1 + np.exp(SCORES[3:])))
    # Steps of the hull: three impostors; a client and an impostor; two clients.
    min_cllr = 0.5 * (np.log2(1 + (1 / 4) / (1 / 3)) / 3 + np.log2(1 + (1 / 3) / (1 / 4)) / 4)
    assert summarise(SCORES, IS_CLIENT) == {
        "num_trials": 7,
        "num_clients": 3,
        "num_impostors": 4,
        "p_targets": (0.01, 0.05),
        "c_miss": 1.0,
        "c_false_alarm": 1.0,
        "eer_percent": 25.0,
        "eer_hull_percent": pytest.approx(100 / 7),
        "eer_threshold": 0.5,
        "min_dcf_0.01": pytest.approx(1 / 3),
        "min_dcf_0.01_threshold": 0.6,
        "min_dcf_0.05": pytest.approx(1 / 3),
        "min_dcf_0.05_threshold": 0.6,
        "act_dcf_0.01": 1.0,
        "act_dcf_0.01_threshold": pytest.approx(np.log(99.0)),
        "act_dcf_0.05": 1.0,
        "act_dcf_0.05_threshold": pytest.approx(np.log(19.0)),
        "cllr": pytest.approx(cllr),
        "min_cllr": pytest.approx(min_cllr),
    }


def test_costs_and_priors_by_setting():
    summary = summarise(SCORES, IS_CLIENT, costs=Costs((0.5,), c_false_alarm=10.0))
    assert summary["min_dcf_0.5"] == pytest.approx(1 / 3)
    # Everything above -ln(1/10) is none.
    assert summary["act_dcf_0.5"] == 1.0
    assert "min_dcf_0.01" not in summary


def test_a_curve_that_is_there_is_used():
    curve = detection_curve([1.0, 2.0], [False, True])
    assert summarise(SCORES, IS_CLIENT, curve)["eer_threshold"] == 2.0


def test_printed_table():
    summary = summarise(SCORES, IS_CLIENT) | {
        "num_trials": 12_497_500,
        "intervals": {"eer_percent": [20.0, 30.5], "cllr": [0.5, 1.25]},
        "num_draws": 1000,
        "num_speakers": 40,
        "speakers_from": "the first folder",
    }
    assert format_summary(summary).splitlines() == [
        "trials            12,497,500",
        "  clients                 3",
        "  impostors               4",
        "EER                  25.000 %  [20.000, 30.500]   at threshold 0.5000",
        "  of the hull        14.286 %",
        "minDCF (p = 0.01)    0.3333                       at threshold 0.6000",
        "actDCF (p = 0.01)    1.0000                       at threshold 4.5951",
        "minDCF (p = 0.05)    0.3333                       at threshold 0.6000",
        "actDCF (p = 0.05)    1.0000                       at threshold 2.9444",
        f"Cllr                 {summary['cllr']:.4f}    [0.5000, 1.2500]",
        f"  minimum            {summary['min_cllr']:.4f}",
        "[95 % intervals, of 1,000 draws of 40 speakers: the first folder]",
    ]


def test_metrics_come_back_from_json(tmp_path):
    summary = summarise(SCORES, IS_CLIENT)
    write_json(tmp_path / "metrics.json", summary)
    back = json.loads((tmp_path / "metrics.json").read_text())
    assert back == summary | {"p_targets": [0.01, 0.05]}


def test_what_json_does_not_know_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "metrics.json", {"eer_percent": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="metrics.json: can't be written"):
        write_json(tmp_path / "missing" / "metrics.json", {})
