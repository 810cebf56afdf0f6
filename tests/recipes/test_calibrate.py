"""recipes/calibrate.py from end to end: what it learns on, measures and writes, and wrong input."""

import json
import re
import runpy
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

# What the script imports, before conftest.py looks at it: other tests here use hypothesis.
import speechbrain  # noqa: F401
from corpora import as_arguments
from exports import make_model_dir
from runs import run_apart

from local.errors import InputError
from local.evaluation import calibration
from local.evaluation.cllr import cllr
from local.evaluation.decision import read_decision
from local.evaluation.summary import summarise
from local.lists.trials import Trials
from local.model_files.model_dir import load_model
from local.scoring.quality import write_quality
from local.scoring.score_files import read_scores, write_scores

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "recipes" / "calibrate.py"
YAML = ROOT / "hparams" / "calibrate.yaml"


def calibrate(**settings):
    """Runs the script in this process."""
    runpy.run_path(str(SCRIPT))["main"]([str(YAML), *as_arguments(settings)])


def make_trials(speakers, utterance="{}/u{}", conditions=()):
    """All pairs of three utterances of each speaker."""
    names = [utterance.format(speaker, index) for speaker in speakers for index in range(3)]
    enrol, test = np.array(list(combinations(range(len(names)), 2))).T
    condition = np.arange(len(enrol)) % len(conditions) if conditions else None
    return Trials(names, enrol, test, enrol // 3 == test // 3, [], list(conditions), condition)


def make_scores(trials, seed=0):
    noise = np.random.default_rng(seed).standard_normal(len(trials))
    return (0.1 * (noise + 2.0 * trials.is_client) + 0.3).astype(np.float32)


SPEAKERS = [f"s{number:02}" for number in range(12)]
TRIALS = make_trials(SPEAKERS, conditions=["far", "near"])
SCORES = make_scores(TRIALS)


@pytest.fixture
def scores_path(tmp_path):
    write_scores(tmp_path / "scores.txt", TRIALS, SCORES)
    return tmp_path / "scores.txt"


def test_a_model_decides_by_it_from_now_on(scores_path, tmp_path, capsys):
    model_dir = make_model_dir(tmp_path / "model")
    calibrate(scores=scores_path, keep_calibration=True, model_dir=model_dir)
    assert f"Decision:    {model_dir}/decision.json" in capsys.readouterr().out
    learnt = calibration.load(tmp_path / "calibration.json")
    assert read_decision(load_model(model_dir)).calibration == learnt


def test_what_a_model_can_not_decide_by_is_refused(scores_path, tmp_path):
    with pytest.raises(InputError, match="keep_calibration needs --model_dir"):
        calibrate(scores=scores_path, keep_calibration=True)
    model_dir = make_model_dir(tmp_path / "model")
    write_scores(scores_path, TRIALS, 10 * SCORES)  # as normalised scores are
    with pytest.raises(InputError, match="scores.txt: has scores that are no cosines"):
        calibrate(scores=scores_path, keep_calibration=True, model_dir=model_dir)
    assert not (model_dir / "decision.json").exists()


def test_script_from_another_directory(scores_path):
    learnt = calibration.fit(SCORES[:, None].astype(float), TRIALS.is_client, 0.05)
    arguments = [YAML, "--scores", "scores.txt"]
    code, printed = run_apart("calibrate.py", arguments, scores_path.parent)
    assert code == 0, printed
    written = calibration.load(scores_path.parent / "calibration.json")
    assert written.learnt_on["scores"] == "scores.txt"
    assert written.learnt_on["num_clients"] == 36 and written.learnt_on["num_impostors"] == 594
    assert written.weights == learnt.weights and written.offset == learnt.offset
    assert re.search(rf"score +{learnt.weights['score']:.6g}\n", printed)
    assert "Learnt on: 630 trials, 36 of them clients" in printed
    before, after = written.learnt_on["cllr_before"], written.learnt_on["cllr_after"]
    assert re.search(rf"Cllr +{before:.4f} +{after:.4f}\n", printed) and after < before
    assert "--calibration calibration.json" in printed and "Held out" not in printed


def speaker_pairs(trials):
    """The speakers of both sides of each trial: str (num_trials, 2)."""
    names = np.array([name.split("/")[0] for name in trials.utterances])
    return np.stack([names[trials.enrol], names[trials.test]], axis=1)


def test_held_out_speakers_are_not_learnt_from(scores_path, tmp_path, capsys):
    settings = {"out": tmp_path / "c.json", "held_out_file": tmp_path / "held_out.txt"}
    calibrate(scores=scores_path, held_out_share=0.5, **settings)
    printed = capsys.readouterr().out
    trials, llrs = read_scores(tmp_path / "held_out.txt")
    held_out = np.unique(speaker_pairs(trials))
    # All pairs of the 18 utterances of half of the speakers, with their conditions.
    assert len(held_out) == 6 and len(trials) == 18 * 17 / 2
    is_held_out = np.isin(speaker_pairs(TRIALS), held_out)
    chosen = is_held_out.all(axis=1)
    names = np.array(TRIALS.condition_names)[TRIALS.condition[chosen]]
    assert np.array(trials.condition_names)[trials.condition].tolist() == names.tolist()

    others = ~is_held_out.any(axis=1)
    learnt = calibration.load(tmp_path / "c.json")
    inputs = SCORES[:, None].astype(float)
    expected = calibration.fit(inputs[others], TRIALS.is_client[others], 0.05)
    assert learnt.weights == expected.weights and learnt.offset == expected.offset
    np.testing.assert_array_equal(llrs, calibration.apply(learnt, inputs[chosen]).astype("f4"))

    table = printed[printed.index("Held out: 153 trials, 18 of them clients") :]
    before = summarise(SCORES[chosen], TRIALS.is_client[chosen])
    after = summarise(llrs, trials.is_client)
    for name, key in (("Cllr", "cllr"), ("  minimum", "min_cllr")):
        assert re.search(rf"{name} +{before[key]:.4f} +{after[key]:.4f}\n", table)
    assert re.search(rf"EER +{before['eer_percent']:.3f} % +{after['eer_percent']:.3f} %\n", table)
    assert re.search(rf"actDCF \(p = 0.05\) +\S+ +{after['act_dcf_0.05']:.4f}\n", table)


def test_the_seed_draws_the_speakers(scores_path, tmp_path):
    def held_out(seed):
        path = tmp_path / "held_out.txt"
        calibrate(scores=scores_path, held_out_share=0.25, held_out_file=path, seed=seed)
        return set(np.unique(speaker_pairs(read_scores(path)[0])))

    assert held_out(1) == held_out(1) != held_out(2)
    assert len(held_out(3)) == 3


def test_the_prior_of_another_operating_point_is_reported(scores_path, capsys):
    calibrate(scores=scores_path, p_target=0.2)
    printed = capsys.readouterr().out
    assert "learnt at p_target 0.2" in printed
    assert "actDCF (p = 0.2)" in printed and "actDCF (p = 0.01)" in printed


@pytest.mark.parametrize(
    "given, used",
    [
        ("log_seconds", ["log_seconds_shorter", "log_seconds_longer"]),
        ("[log_seconds]", ["log_seconds_shorter", "log_seconds_longer"]),
        ("[cohort_mean]", ["cohort_mean_lower", "cohort_mean_higher"]),
    ],
)
def test_quality_measures_beside_the_scores(scores_path, given, used):
    rng = np.random.default_rng(0)
    seconds, means = rng.uniform(1, 9, size=(2, len(TRIALS.utterances)))
    quality = {"seconds": seconds, "cohort_mean": means}
    write_quality(scores_path.with_name("quality.txt"), TRIALS.utterances, quality)
    calibrate(scores=scores_path, quality=given)
    learnt = calibration.load(scores_path.with_name("calibration.json"))
    assert list(learnt.weights) == ["score", *used]
    # More inputs can't cost more where they are learnt, at the prior that Cllr is of.
    calibrate(scores=scores_path, quality=given, p_target=0.5)
    learnt = calibration.load(scores_path.with_name("calibration.json"))
    alone = calibration.fit(SCORES[:, None].astype(float), TRIALS.is_client, 0.5)
    assert learnt.learnt_on["cllr_after"] <= alone.learnt_on["cllr_after"] + 1e-9


def test_quality_file_from_elsewhere(scores_path, tmp_path):
    (tmp_path / "other").mkdir()
    path = tmp_path / "other" / "measures.txt"
    quality = {"seconds": np.linspace(1, 5, len(TRIALS.utterances))}
    write_quality(path, TRIALS.utterances[::-1], quality)
    calibrate(scores=scores_path, quality="log_seconds", quality_file=path)
    assert calibration.load(tmp_path / "calibration.json").quality == ("log_seconds",)
    with pytest.raises(InputError, match="cohort_mean is not known.*with a cohort"):
        calibrate(scores=scores_path, quality="cohort_mean", quality_file=path)


def test_names_that_do_not_tell_the_speakers(tmp_path, caplog):
    trials = make_trials(range(12), utterance="u{1}x{0}")
    write_scores(tmp_path / "scores.txt", trials, make_scores(trials))
    settings = {"scores": tmp_path / "scores.txt", "held_out_share": 0.5}
    calibrate(**settings)
    assert "One speaker may be in both parts" in caplog.text
    caplog.clear()
    lines = [f"{name} {name.split('x')[1]}\n" for name in trials.utterances]
    (tmp_path / "speakers.txt").write_text("".join(lines))
    calibrate(**settings, speakers=tmp_path / "speakers.txt")
    assert "One speaker may be" not in caplog.text


def test_scores_that_separate_the_classes_are_calibrated_with_a_warning(tmp_path, caplog):
    write_scores(tmp_path / "scores.txt", TRIALS, np.where(TRIALS.is_client, 0.8, 0.2))
    calibrate(scores=tmp_path / "scores.txt")
    learnt = calibration.load(tmp_path / "calibration.json")
    llrs = calibration.apply(learnt, np.array([[0.8], [0.2]]))
    assert "separate clients from impostors completely" in caplog.text
    assert cllr(llrs, [True, False]) < 1e-6 and np.isfinite(llrs).all()


# Wrong input


def written(folder):
    return {path.name for path in folder.iterdir()} - {"scores.txt"}


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"scores": "null"}, "give --scores FILE: the scores.txt of recipes/verify.py"),
        ({"scores": "none.txt"}, "none.txt: can't be read"),
        ({"p_target": 0}, "p_target must be a number above 0 and below 1, not 0"),
        ({"p_target": 1.0}, "p_target must be a number above 0 and below 1, not 1.0"),
        ({"p_target": "5%"}, "p_target must be a number above 0 and below 1, not '5%'"),
        ({"p_target": ".nan"}, "p_target must be a number above 0 and below 1, not nan"),
        ({"held_out_share": 1.0}, "held_out_share must be a number from 0 and below 1, not 1.0"),
        ({"held_out_share": -0.1}, "held_out_share must be a number from 0 and below 1, not -0.1"),
        ({"held_out_share": 0.01}, "keeps 0 of 12 speakers apart, and the trials held out have no"),
        ({"held_out_share": 0.1}, "the trials held out have no impostor; give another share"),
        ({"held_out_share": 0.95}, "the trials learnt on have no impostor; give another share"),
        ({"held_out_share": 0.99}, "keeps 12 of 12 .* the trials learnt on have no client"),
        ({"held_out_share": 0.5, "seed": -1}, "seed must be a whole number from 0 to .*, not -1"),
        (
            {"quality": "snr"},
            "quality must be log_seconds or cohort_mean, or null, or a list of these, not 'snr'",
        ),
        ({"quality": "[log_seconds, snr]"}, r"quality must be .*, not \['log_seconds', 'snr'\]"),
        ({"quality": "log_seconds"}, "quality.txt: no such file; recipes/verify.py writes it"),
        ({"held_out_share": 0.5, "speakers": "none.txt"}, "none.txt: can't be read"),
        ({"held_out_file": "h.txt"}, "held_out_file needs a held_out_share above 0"),
        ({"out": "missing/c.json"}, "c.json: can't be written"),
        (
            {"out": "missing/c.json", "held_out_file": "h", "held_out_share": 0.5},
            "c.json: can't be written",
        ),
        ({"out": "scores.txt"}, "scores.txt: would be overwritten"),
        ({"out": "h", "held_out_file": "h", "held_out_share": 0.5}, "h: would be overwritten"),
    ],
)
def test_wrong_settings_leave_nothing_behind(scores_path, monkeypatch, settings, message):
    monkeypatch.chdir(scores_path.parent)
    before = scores_path.read_bytes()
    with pytest.raises(InputError, match=message):
        calibrate(**{"scores": "scores.txt"} | settings)
    assert written(scores_path.parent) == set() and scores_path.read_bytes() == before


@pytest.mark.parametrize(
    "line, message",
    [
        ("a b target\n", "scores.txt:2: expected"),
        ("a b target nan\n", "scores.txt:2: score 'nan' is not a finite number"),
        ("a b maybe 1.0\n", "scores.txt:2: label 'maybe'"),
        ("a b target 0.5\n", "scores.txt: has only client trials"),
    ],
)
def test_wrong_score_files(tmp_path, line, message):
    (tmp_path / "scores.txt").write_text(f"c d target 0.75\n{line}")
    with pytest.raises(InputError, match=message):
        calibrate(scores=tmp_path / "scores.txt")
    assert written(tmp_path) == set()


def test_a_calibration_that_is_there_stays_when_writing_fails(scores_path, monkeypatch):
    calibrate(scores=scores_path)
    before = (scores_path.parent / "calibration.json").read_text()
    monkeypatch.setattr(json, "dumps", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        calibrate(scores=scores_path, p_target=0.5)
    assert written(scores_path.parent) == {"calibration.json"}
    assert (scores_path.parent / "calibration.json").read_text() == before
