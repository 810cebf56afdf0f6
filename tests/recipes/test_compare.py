"""recipes/compare.py: the numbers of verification, words of caution, and what is refused."""

import json
import math
import runpy
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from corpora import as_arguments, write_voice
from exports import ROOT, make_model_dir, write_weights

from local.errors import InputError
from local.evaluation.calibration import Calibration
from local.evaluation.decision import of_calibration, write_decision
from local.model_files.model_dir import load_model
from local.report import outputs
from local.scoring.score_files import read_scores

SCRIPT, YAML = ROOT / "recipes" / "compare.py", ROOT / "hparams" / "compare.yaml"
NAMES = "one.wav", "two.flac", "three.wav"


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    """Three recordings, one of them at another rate, of two channels, and a few that are bad."""
    folder = tmp_path_factory.mktemp("audio")
    write_voice(folder / "one.wav", 120, seconds=2.7)
    write_voice(folder / "two.wav", 126, seconds=3.9, sample_rate=44100)
    samples, rate = soundfile.read(folder / "two.wav")
    (folder / "two.wav").unlink()
    soundfile.write(folder / "two.flac", np.stack([samples, 0.2 * samples], axis=1), rate)
    write_voice(folder / "three.wav", 300, seconds=2.2, seed=3)
    soundfile.write(folder / "silent.wav", np.zeros(48000), 16000)
    (folder / "broken.wav").write_bytes(b"RIFF")
    return folder


@pytest.fixture
def compare(model_dir, audio, monkeypatch, capsys):
    """Runs the script in the folder of the recordings; returns what it printed."""

    def call(*paths, **settings):
        monkeypatch.chdir(audio)
        capsys.readouterr()
        settings = {"model_dir": model_dir} | settings
        main = runpy.run_path(str(SCRIPT))["main"]
        try:
            main([str(YAML), *paths, *as_arguments(settings)])
        finally:
            call.printed = capsys.readouterr().out
        return call.printed

    return call


def calibrate(model_dir, weight, threshold):
    calibration = Calibration({"score": weight}, -weight * threshold, 0.5, (), {"num_trials": 90})
    write_decision(load_model(model_dir), of_calibration(calibration))
    return calibration


@pytest.mark.parametrize("vad", ["none", "energy"])
def test_the_numbers_are_those_of_verification(compare, vad, audio, tmp_path, monkeypatch):
    model_dir = make_model_dir(tmp_path / "of_vad", vad=vad)
    calibrate(model_dir, 7.5, 0.9)
    result = json.loads(compare(*NAMES, json=True, model_dir=model_dir))
    text = compare(*NAMES, model_dir=model_dir)
    # With both classes: verification needs them, and scores don't depend on them.
    pairs = ["one two", "one three", "two three"]
    lines = [f"{label} {pair}\n" for label, pair in zip("100", pairs, strict=True)]
    (tmp_path / "trials.txt").write_text("".join(lines))
    (tmp_path / "c.json").write_text(json.dumps(calibrate(model_dir, 7.5, 0.9)._asdict()))
    monkeypatch.setattr(outputs, "_pictures", lambda *_: [])
    settings = {"model_dir": model_dir, "valid_data_dir": audio, "output_dir": tmp_path / "out"}
    settings |= {"trials": tmp_path / "trials.txt", "calibration": tmp_path / "c.json"}
    main = runpy.run_path(str(ROOT / "recipes" / "verify.py"))["main"]
    main([str(ROOT / "hparams" / "verify.yaml"), "--noprogressbar", *as_arguments(settings)])
    for index, (pair, line) in enumerate(zip(result["pairs"], text.splitlines()[1:], strict=False)):
        for key, file, digits in (("cosine", "scores", ".4f"), ("llr", "llrs", "+.2f")):
            expected = read_scores(tmp_path / "out" / f"{file}.txt")[1][index]
            assert pair[key] == float(str(expected))
            assert f"{expected:{digits}}" in line.split()
        assert (pair["one"], pair["another"]) == tuple(line.split()[:2])
    assert len({pair["cosine"] for pair in result["pairs"]}) == 3


def test_a_calibrated_model_says_how_sure_it_is(compare, model_dir):
    calibrate(model_dir, 1000.0, -0.999)
    printed = compare(*NAMES[:2])
    assert "probably the same speaker (LLR +" in printed
    assert "on at a prior of 0.5: by its calibration, learnt on 90 trials." in printed
    calibrate(model_dir, 3.0, 0.999)
    (pair,) = json.loads(compare(*NAMES[:2], json=True, p_target=0.2))["pairs"]
    odds = 3.0 * (pair["cosine"] - 0.999) + math.log(0.2 / 0.8)
    assert pair["probability"] == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-6)
    assert pair["is_same"] is False and pair["says"].startswith("probably two speakers (LLR -")
    calibrate(model_dir, 1e-3, 0.5)
    assert "too close to call, rather " in compare(*NAMES[:2])


def test_without_a_calibration_the_threshold_of_the_validation_decides(compare, model_dir):
    cosine = json.loads(compare(*NAMES[:2], json=True))["pairs"][0]["cosine"]
    write_weights(model_dir, threshold=cosine - 1e-6)
    assert "taken for the same speaker" in compare(*NAMES[:2])
    write_weights(model_dir, threshold=cosine + 1e-6)
    printed = compare(*NAMES[:2])
    assert "taken for two speakers" in printed and "LLR" not in printed
    assert "by the equal error rate of its validation." in printed


def test_without_any_there_is_the_score_alone(compare, model_dir):
    write_weights(model_dir, threshold=None)
    printed = compare(*NAMES[:2])
    assert "no decision" in printed and "The score alone, without a decision" in printed
    (pair,) = json.loads(compare(*NAMES[:2], "--json"))["pairs"]
    assert pair["is_same"] is None and pair["llr"] is None and pair["probability"] is None


def test_doubtful_recordings_get_a_word_of_caution(compare, audio):
    samples, rate = soundfile.read(audio / "one.wav")
    soundfile.write(audio / "loud.wav", np.clip(30 * samples, -1, 1), rate)
    soundfile.write(audio / "quiet.wav", 1e-3 * samples, rate)
    pause = np.zeros(3 * rate)
    soundfile.write(audio / "brief.wav", np.concatenate([pause, samples[: rate // 2], pause]), rate)
    printed = compare("one.wav", "loud.wav", "quiet.wav", "brief.wav", "one.wav#t=0.5,1")
    cautions = [line for line in printed.splitlines() if line.startswith("Caution: ")]
    assert [line.split()[1] for line in cautions] == [
        *("loud.wav", "quiet.wav", "brief.wav", "one.wav#t=0.5,1")
    ]
    assert "is clipped" in cautions[0] and "is nearly silent" in cautions[1]
    # Half a second, and the frames around it.
    assert 0.5 <= float(cautions[2].split("has ")[1].split()[0]) <= 0.65
    assert "has 0.47 s of speech: with less than 2 s, scores are much less sure" in cautions[3]


def test_what_can_not_be_used_is_named_and_the_others_compared(compare, audio):
    with pytest.raises(InputError) as caught:
        compare("one.wav", "broken.wav", "three.wav", "silent.wav", "no.wav", "./one.wav")
    lines = str(caught.value).splitlines()
    assert len(lines) == 4 and "./one.wav: is given twice" in lines
    assert "silent.wav: is digital silence: all samples are the same" in lines
    assert any(line.startswith("broken.wav: ") for line in lines)
    assert any(line.startswith("no.wav: there is no audio file") for line in lines)
    rows = compare.printed.split("\n\n")[0].splitlines()
    assert len(rows) == 2 and rows[1].split()[:2] == ["one.wav", "three.wav"]


@pytest.mark.parametrize(
    "paths, message",
    [
        ([], "give two recordings or more"),
        (["one.wav"], "give two recordings or more"),
        (["one.wav", "one.wav"], "one.wav: is given twice"),
        (["one.wav", "silent.wav"], "silent.wav: is digital silence"),
        (["one.wav", "three.wav", "--modle_dir", "x"], "modle_dir: .*do you mean model_dir"),
        (["one.wav", "three.wav", "--device", "gpu"], "--device gpu: there is no such device"),
        (["one.wav", "three.wav", "--p_target", "1"], "p_target must be a number above 0 and bel"),
    ],
)
def test_nothing_to_compare(compare, paths, message):
    with pytest.raises(InputError, match=message):
        compare(*paths)
    assert not compare.printed


STARTED = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
heavy = {"speechbrain", "matplotlib", "torchaudio", "pandas", "tensorboard", "onnx"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_it_starts_without_what_training_needs(model_dir, audio):
    arguments = [str(SCRIPT), str(YAML), "one.wav", "three.wav", f"--model_dir={model_dir}"]
    command = [sys.executable, "-c", STARTED, *arguments]
    ended = subprocess.run(command, cwd=audio, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    assert "taken for" in ended.stdout and not ended.stderr
