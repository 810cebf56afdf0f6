"""The model in pretrained/: what is promised of it."""

import re
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
from corpora import write_voice

from local.embeddings.recordings import embed_recordings
from local.errors import Problems
from local.evaluation.decision import read_decision
from local.model_files.pretrained import load_given

ROOT = Path(__file__).resolve().parents[1]
PRETRAINED = ROOT / "pretrained"


@pytest.fixture(scope="module")
def model():
    return load_given("pretrained", is_default=True)


def test_it_is_small():
    assert all(path.stat().st_size <= 5e6 for path in PRETRAINED.iterdir())


def test_its_calibration_belongs_to_its_weights_and_stands_in_its_card(model):
    decision = read_decision(model)
    weight, offset = decision.calibration.weights["score"], decision.calibration.offset
    card = (PRETRAINED / "README.md").read_text()
    assert f"llr = {weight:.2f} * cosine - {-offset:.2f}" in card


def test_onnx_gives_the_embedding_of_the_recipe(model, tmp_path):
    write_voice(tmp_path / "a.wav", 120, seconds=2.5)
    problems = Problems()
    ours = embed_recordings(model, [str(tmp_path / "a.wav")], "cpu", problems).embeddings
    assert not problems
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    session = onnxruntime.InferenceSession(PRETRAINED / "model.onnx")
    theirs = session.run(["embeddings"], {"waveforms": samples[None]})[0]
    assert np.abs(theirs - ours).max() < 1e-3 * np.abs(ours).max()


def test_its_card_and_its_script_name_what_there_is():
    for text in ((PRETRAINED / "README.md").read_text(), (PRETRAINED / "make.sh").read_text()):
        for name in re.findall(r"\b(?:recipes|hparams)/[\w/]+\.\w+", text):
            assert (ROOT / name).is_file(), name
    usage = subprocess.run([PRETRAINED / "make.sh"], capture_output=True, text=True)
    assert usage.returncode == 2 and "SPEECHOCEAN762 GCOMPRIS OUT_DIR" in usage.stdout
