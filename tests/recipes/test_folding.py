"""Each script that embeds folds the front end first; what is trained on stays in training form."""

import runpy

import pytest
import torch
from corpora import as_arguments, write_coloured_noise
from exports import ROOT, make_model_dir, own_embeddings
from speechbrain.inference.interfaces import foreign_class

from local.export.speechbrain_dir import INTERFACE
from local.model_files.model_dir import load_model


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    return make_model_dir(tmp_path_factory.mktemp("made") / "model", front_end="repvgg", width=16)


def script(name):
    return runpy.run_path(str(ROOT / "recipes" / f"{name}.py"))


def num_branches(extractor):
    return {len(block.branches) for block in extractor.front_end.blocks}


def test_models_that_are_verified_or_embed_are_folded(model_dir):
    assert num_branches(load_model(model_dir)["extractor"]) == {2, 3}
    assert num_branches(script("verify")["load"](model_dir, False)["extractor"]) == {1}
    settings = {"model_dir": model_dir, "layer": "embedding", "alignment": False}
    assert num_branches(script("extract_embeddings")["load"](settings)[0]["extractor"]) == {1}


def test_an_export_is_folded_for_use_and_can_be_trained_on(model_dir, tmp_path, monkeypatch):
    written = []

    def write_onnx(model, path, kind, decision):
        written.append(num_branches(model["extractor"]))
        return 0.0

    monkeypatch.setattr("local.export.onnx_model.write_onnx", write_onnx)
    folder = tmp_path / "export"
    arguments = as_arguments({"model_dir": model_dir, "export_dir": folder, "onnx": True})
    script("export_model")["main"]([str(ROOT / "hparams" / "export.yaml"), *arguments])
    assert written == [{1}, {1}]
    model = foreign_class(source=str(folder), run_opts={"device": "cpu"}, **INTERFACE)
    assert num_branches(model.mods.embedding_model) == {1}
    own, theirs = load_model(model_dir)["extractor"], load_model(folder)["extractor"]
    for name, value in own.state_dict().items():
        assert torch.equal(theirs.state_dict()[name], value)
    write_coloured_noise(tmp_path / "a.wav", seed=0)
    embedding = model.encode_batch(model.load_audio(str(tmp_path / "a.wav")))[0]
    expected = own_embeddings(model_dir, [tmp_path / "a.wav"])
    assert torch.allclose(embedding, expected, atol=1e-4)
