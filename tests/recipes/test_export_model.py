"""recipes/export_model.py: what is written, what is said of it, and what is refused."""

import runpy
import textwrap
from pathlib import Path

import pytest
import torch
from corpora import as_arguments
from exports import ROOT, write_weights
from speechbrain.inference.interfaces import foreign_class

from local.errors import InputError
from local.evaluation.calibration import Calibration
from local.evaluation.decision import (
    GIVEN,
    Decision,
    of_calibration,
    read_decision,
    write_decision,
)
from local.model_files.model_dir import load_model

FILES = {
    "README.md",
    "classifier.ckpt",
    "custom_interface.py",
    "embedding_model.ckpt",
    "hyperparams.yaml",
    "label_encoder.ckpt",
    "model.yaml",
    "model_00000070.pt",
}


@pytest.fixture
def export(model_dir, tmp_path):
    """Exports the model; returns the new directory."""

    def call(**settings):
        fixed = {"model_dir": model_dir, "export_dir": tmp_path / "export", "onnx": False}
        settings = fixed | settings
        main = runpy.run_path(str(ROOT / "recipes" / "export_model.py"))["main"]
        main([str(ROOT / "hparams" / "export.yaml"), *as_arguments(settings)])
        return Path(settings["export_dir"])

    return call


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_everything_is_written_and_named(export, tmp_path, capsys):
    # An empty directory is taken.
    (tmp_path / "export").mkdir()
    folder = export()
    assert names_in(folder) == FILES
    assert names_in(tmp_path) == {"model", "export"}
    printed = capsys.readouterr().out
    assert all(name in printed for name in FILES)
    assert "cosine 1.0000000" in printed or "cosine 0.9999" in printed
    # The printed lines load it.
    _, _, code = printed.partition("which this runs):\n")
    load, _, _ = code.partition("    score")
    namespace = {}
    exec(textwrap.dedent(load), namespace)
    assert namespace["model"].encode_batch(torch.zeros(2, 8000)).shape == (2, 1, 8)
    assert namespace["model"].hparams.threshold == 0.375


def test_newest_weights_are_taken_and_an_export_can_be_exported(export, model_dir, tmp_path):
    write_weights(model_dir, seed=5, step=80, eer_percent=None)
    first = export(export_dir=tmp_path / "a" / "b")
    model = load_model(first)
    assert model["step"] == 80 and model["eer_percent"] is None
    assert not (first / "model_00000070.pt").exists()
    second = export(model_dir=first)
    assert names_in(second) == names_in(first)
    for name in names_in(first) - {"README.md"}:
        assert (second / name).read_bytes() == (first / name).read_bytes()


def test_threshold_that_is_given_is_that_of_the_export(export, model_dir, tmp_path):
    weights = torch.load(model_dir / "model_00000070.pt", weights_only=True)
    del weights["threshold"]
    torch.save(weights, model_dir / "model_00000070.pt")
    assert_refused(export, tmp_path, "holds no threshold for decisions: give --threshold")
    folder = export(threshold=-1e-05)
    assert "threshold: -1e-05 " in (folder / "hyperparams.yaml").read_text()
    assert read_decision(load_model(folder)) == Decision(-1e-05, GIVEN)


def test_what_the_model_keeps_decides_in_the_export(export, model_dir):
    facts = {"scores": "/home/anna/scores.txt", "num_trials": 90}
    kept = of_calibration(Calibration({"score": 20.0}, -8.5, 0.5, (), facts))
    write_decision(load_model(model_dir), kept)
    folder = export()
    decision = read_decision(load_model(folder))
    assert decision.threshold == 0.425
    assert decision.calibration.learnt_on == {"num_trials": 90}
    card = " ".join((folder / "README.md").read_text().split())
    assert "from a cosine of 0.425 on: by its calibration, learnt on 90 trials." in card
    assert "20.0000 * cosine -8.5000." in card
    options = {"pymodule_file": "custom_interface.py", "classname": "SpeakerVerification"}
    model = foreign_class(source=str(folder), **options)
    scores = torch.tensor([0.425, 0.525])
    torch.testing.assert_close(model.log_likelihood_ratios(scores), torch.tensor([0.0, 2.0]))
    assert model.hparams.threshold == 0.425


@pytest.mark.parametrize("threshold", ["1.5", ".nan", "high", "True"])
def test_threshold_that_is_no_cosine_is_refused(export, tmp_path, threshold):
    assert_refused(export, tmp_path, "threshold must be a number from -1 to 1", threshold=threshold)


def test_classifier_of_another_kind_is_left_out(export, model_dir, caplog):
    write_weights(model_dir, classifier={"centres": torch.ones(5, 8)})
    assert names_in(export()) == FILES - {"classifier.ckpt", "label_encoder.ckpt"}
    assert "its classifier is not one of this recipe, and is left out" in caplog.text


def test_onnx_is_written_when_asked_for(export, monkeypatch, capsys):
    kinds = []

    def write_onnx(model, path, kind, decision):
        kinds.append(kind)
        assert model["extractor"].training is False and decision.threshold == 0.375
        path.write_bytes(b"")
        return 2.5e-6

    monkeypatch.setattr("local.export.onnx_model.write_onnx", write_onnx)
    folder = export(onnx=True)
    assert names_in(folder) == FILES | {"model.onnx", "model_features.onnx"}
    assert kinds == ["waveform", "features"]
    assert "model_features.onnx: embeddings differ by up to 2.5e-06" in (capsys.readouterr().out)
    assert "onnxruntime.InferenceSession" in (folder / "README.md").read_text()


# --- refused


def assert_refused(export, tmp_path, match, **settings):
    """It is refused with a message, and leaves nothing behind."""
    before = names_in(tmp_path)
    with pytest.raises(InputError, match=match):
        export(**settings)
    assert names_in(tmp_path) == before


def test_existing_directory_is_refused_before_any_work(export, tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "mine.txt").write_text("mine")
    # There is no model either: it isn't looked at.
    none = tmp_path / "none"
    assert_refused(export, tmp_path, "export: exists already: give another", model_dir=none)
    assert names_in(tmp_path / "export") == {"mine.txt"}


def test_file_in_place_of_a_parent_is_refused(export, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert_refused(export, tmp_path, "can't be written", export_dir=tmp_path / "file" / "export")


def test_directory_without_a_model_is_refused(export, tmp_path):
    assert_refused(export, tmp_path, "no trained model here", model_dir=tmp_path)


def test_damaged_weights_are_refused(export, model_dir, tmp_path):
    weights = model_dir / "model_00000070.pt"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert_refused(export, tmp_path, "model_00000070.pt: is damaged")


def test_weights_that_are_not_finite_are_refused(export, model_dir, tmp_path):
    extractor = load_model(model_dir)["extractor"]
    torch.nn.init.constant_(extractor.head.linear.weight, float("nan"))
    write_weights(model_dir, extractor=extractor.state_dict())
    assert_refused(export, tmp_path, "holds parameters that are not finite")


def test_settings_execute_nothing(export, model_dir, tmp_path):
    settings = model_dir / "hyperparams.yaml"
    settings.write_text(f"seed: !apply:os.mkdir [{tmp_path / 'executed'}]\n")
    export()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"\xff", b"seed: [1", b"- 1"])
def test_damaged_settings_are_refused(export, model_dir, tmp_path, content):
    (model_dir / "hyperparams.yaml").write_bytes(content)
    problem = "hyperparams.yaml: (can't be read|is damaged|is not valid|holds no)"
    assert_refused(export, tmp_path, problem)


def test_failure_on_the_way_leaves_nothing(export, model_dir, tmp_path):
    # The card is written last.
    (model_dir / "manifests").mkdir()
    (model_dir / "manifests" / "train.csv").write_text("ID,duration\n1,2\n")
    assert_refused(export, tmp_path, "train.csv: is no manifest")
