"""recipes/calibrate.py: from scores to a calibration, with speakers held out."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from corpora import as_arguments
from test_bootstrap import make_trials

from local import calibration
from local.cllr import cllr
from local.errors import InputError
from local.quality import write_quality
from local.score_files import read_scores, write_scores

ROOT = Path(__file__).resolve().parents[1]
YAML = str(ROOT / "hparams" / "calibrate.yaml")
SCRIPT = str(ROOT / "recipes" / "calibrate.py")


def calibrate(**settings):
    runpy.run_path(SCRIPT)["main"]([YAML, *as_arguments(settings)])


@pytest.fixture
def scores(tmp_path):
    """A score file of twelve speakers, with quality measures beside it."""
    trials, scores = make_trials(num_speakers=12, num_utterances=6, num_trials=4000)
    write_scores(tmp_path / "scores.txt", trials, 0.1 * scores)
    seconds = np.random.default_rng(0).uniform(1, 9, len(trials.utterances))
    write_quality(tmp_path / "quality.txt", trials.utterances, seconds)
    return tmp_path / "scores.txt"


def test_from_another_directory(scores, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    command = [sys.executable, SCRIPT, YAML, "--scores", "../scores.txt"]
    result = subprocess.run(command, cwd=tmp_path / "elsewhere", capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    learnt = calibration.load(tmp_path / "calibration.json")
    trials, values = read_scores(scores)
    llrs = calibration.calibrate_scores(learnt, trials, values)
    assert learnt.learnt_on["cllr_after"] == pytest.approx(cllr(llrs, trials.is_client), abs=1e-5)
    assert learnt.learnt_on["cllr_after"] < learnt.learnt_on["cllr_before"]
    assert f"{learnt.weights['score']:.6g}" in result.stdout
    assert f"{learnt.learnt_on['cllr_after']:.4f}" in result.stdout
    assert "verify.py" in result.stdout and "--calibration ../calibration.json" in result.stdout


def test_held_out_speakers_are_others(scores, tmp_path, capsys):
    calibrate(scores=scores, held_out_share=0.5, held_out_file=tmp_path / "held.txt")
    trials, values = read_scores(scores)
    held, llrs = read_scores(tmp_path / "held.txt")
    of_held = {name.split("/")[0] for name in held.utterances}
    assert len(of_held) == 6
    sides = np.array([name.split("/")[0] in of_held for name in trials.utterances])
    learning = ~sides[trials.enrol] & ~sides[trials.test]
    learnt = calibration.load(tmp_path / "calibration.json")
    found = learnt.learnt_on["num_clients"], learnt.learnt_on["num_impostors"]
    is_client = trials.is_client[learning]
    assert found == (np.count_nonzero(is_client), np.count_nonzero(~is_client))
    expected = calibration.fit(values[learning, None].astype(float), is_client, 0.05)
    assert learnt.weights == pytest.approx(expected.weights)
    assert len(held) == np.count_nonzero(sides[trials.enrol] & sides[trials.test])
    printed = capsys.readouterr().out
    assert f"{cllr(llrs, held.is_client):.4f}" in printed.split("Held out:")[1]


def test_quality_measures_get_weights(scores, tmp_path):
    calibrate(scores=scores, quality="log_seconds", out=tmp_path / "q.json", p_target=0.01)
    learnt = calibration.load(tmp_path / "q.json")
    assert set(learnt.weights) == {"score", "log_seconds_shorter", "log_seconds_longer"}
    assert learnt.p_target == 0.01 and not (tmp_path / "calibration.json").exists()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"scores": "null"}, "give --scores FILE"),
        ({"scores": "none.txt"}, "none.txt: can't be read"),
        ({"p_target": 0}, "p_target must be between 0 and 1, not 0"),
        ({"p_target": "high"}, "p_target must be between 0 and 1, not 'high'"),
        ({"held_out_share": 1.0}, "held_out_share must be from 0 to below 1, not 1.0"),
        ({"held_out_share": 0.01}, "keeps 0 of 12 speakers apart, and the trials held out have no"),
        ({"held_out_share": 0.99}, "keeps 12 of 12 speakers apart, and the trials learnt on have"),
        ({"held_out_file": "held.txt"}, "needs a held_out_share above 0"),
        ({"quality": "[snr]"}, "'snr' is no quality measure"),
        ({"quality": "[cohort_mean]"}, "cohort_mean is not known of these trials"),
        ({"quality": "log_seconds", "quality_file": "none"}, "none: no such file"),
        ({"seed": -1}, "seed must be a whole number from 0 on, not -1"),
        ({"speakers": "none.txt", "held_out_share": 0.5}, "none.txt: can't be read"),
    ],
)
def test_wrong_settings_leave_nothing(scores, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        calibrate(**{"scores": scores} | settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quality.txt", "scores.txt"]


@pytest.mark.parametrize("key", ["out", "held_out_file"])
def test_nothing_that_is_read_is_overwritten(scores, key):
    before = scores.read_bytes()
    with pytest.raises(InputError, match="scores.txt: would be overwritten"):
        calibrate(**{"scores": scores, "held_out_share": 0.5, key: scores})
    assert scores.read_bytes() == before
