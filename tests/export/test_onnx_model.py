"""Models as ONNX, run by ONNX Runtime."""

import copy
import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from local.errors import InputError
from local.evaluation.calibration import Calibration
from local.evaluation.decision import of_calibration
from local.export import onnx_model
from local.export.drawn_voice import drawn_voice
from local.export.onnx_model import FeaturesInside, write_onnx
from local.features.log_mel import LogMel
from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.front_ends import make_front_end
from local.models.pooling import make_pooling

# An export takes many seconds, so two small models cover what differs between models: one goes from
# waveforms, the other from features.
MODELS = {
    "waveform": {"pooling": "double_multi_head", "normalization": "cmvn", "batch_norm": False},
    "features": {
        "front_end": "xvector",
        "pooling": "attentive_statistics",
        "hidden_size": 10,
        "relu": True,
    },
}


def make_model(
    front_end="vgg",
    pooling="statistics",
    batch_norm=True,
    normalization="cmn",
    hidden_size=0,
    relu=False,
):
    torch.manual_seed(0)
    extractor = EmbeddingExtractor(
        make_front_end(front_end, width=8, num_blocks=2, batch_norm=batch_norm),
        functools.partial(make_pooling, name=pooling, num_heads=4, attention_size=8),
        functools.partial(EmbeddingHead, embedding_size=12, hidden_size=hidden_size, relu=relu),
    )
    features = LogMel(normalization=normalization)
    make_sensitive(extractor, features)
    return {"sample_rate": 16000, "features": features, "extractor": extractor}


@torch.no_grad()
def make_sensitive(extractor, features):
    """As training does: embeddings of different recordings are far apart.

    Those of fresh weights hardly depend on the input, and wrong features would not be noticed.
    """
    for module in extractor.modules():
        if isinstance(module, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0  # the running statistics become those of the batch
    voices = np.stack([drawn_voice(16000, 1.0, seed) >> seed for seed in range(4)])
    noise = np.random.default_rng(0).normal(scale=1000, size=(4, 16000)).astype(np.int16)
    extractor.train()(features(torch.from_numpy(np.concatenate([voices, noise])))[0])
    # One scale: a value that is almost always 0 behind the ReLU is not blown up.
    variance = extractor.head.norm.running_var
    variance.fill_(variance.mean())


class Exported(NamedTuple):
    """A model, its weights before the export, and its ONNX file, in a folder of its own."""

    model: dict
    before: dict
    path: Path

    def run(self, inputs):
        return onnxruntime.InferenceSession(self.path).run(None, inputs)[0]


DECISION = of_calibration(Calibration({"score": 20.0}, -8.5, 0.5, (), {}))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Exports the models, each when it is first asked for."""

    @functools.cache
    def call(kind="waveform"):
        model = make_model(**MODELS[kind])
        model["extractor"].train()
        before = copy.deepcopy(model["extractor"].state_dict())
        path = tmp_path_factory.mktemp("onnx") / "model.onnx"
        assert write_onnx(model, path, kind, DECISION) < 1e-4
        return Exported(model, before, path)

    return call


def embed(model, waveforms):
    extractor = copy.deepcopy(model["extractor"]).eval()
    with torch.no_grad():
        return extractor(model["features"](waveforms)[0]).numpy()


def test_waveforms_of_any_length_give_the_embeddings_of_the_model(exported):
    one = exported()
    session = onnxruntime.InferenceSession(one.path)
    voices = np.stack([drawn_voice(16000, 3.0, seed) for seed in range(5)])
    for num_samples in (1, 100, 511, 512, 513, 671, 672, 7777, 40000):
        for batch_size in (1, 5):
            waveforms = voices[:batch_size, -num_samples:]
            (embeddings,) = session.run(None, {"waveforms": waveforms / np.float32(32768)})
            expected = embed(one.model, torch.from_numpy(waveforms))
            assert embeddings.shape == (batch_size, 12)
            assert np.abs(embeddings - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_large_offset_costs_no_digits():
    model = make_model()
    noise = np.random.default_rng(0).normal(scale=5, size=(8, 16000))
    waveforms = torch.from_numpy((16384 + noise).astype(np.float32))
    with torch.no_grad():
        network = FeaturesInside(model["features"], model["extractor"].eval())
        embeddings = network(waveforms / 32768).numpy()
    expected = embed(model, waveforms)
    assert np.abs(embeddings - expected).max() < 2e-5 * np.abs(expected).max()


def test_the_file_is_whole_and_says_what_it_is(exported):
    path = exported().path
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    content = onnx.load(path)
    onnx.checker.check_model(content, full_check=True)
    assert b".py" not in path.read_bytes()  # nor in which folder the code was
    assert {prop.key: prop.value for prop in content.metadata_props} == {
        **{"sample_rate": "16000", "threshold": "0.425"},
        **{"llr_weight": "20.0", "llr_offset": "-8.5"},
    }
    (given,) = onnxruntime.InferenceSession(path).get_inputs()
    assert given.name == "waveforms" and given.type == "tensor(float)"
    assert all(isinstance(axis, str) for axis in given.shape)


def test_the_model_stays_as_it_is(exported):
    one = exported()
    extractor = one.model["extractor"]
    assert extractor.training
    weight = extractor.front_end.blocks[1].convs[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    state = extractor.state_dict()
    assert all(torch.equal(value, one.before[name]) for name, value in state.items())


def test_features_of_any_length(exported, capfd):
    one = exported("features")
    assert capfd.readouterr() == ("", "")
    rng = np.random.default_rng(0)
    for num_frames in (1, 2, 16, 17, 333):
        features = rng.normal(size=(3, num_frames, 80)).astype(np.float32)
        with torch.no_grad():
            expected = copy.deepcopy(one.model["extractor"]).eval()(torch.from_numpy(features))
        expected = expected.numpy()
        difference = np.abs(one.run({"features": features}) - expected).max()
        assert difference < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("change, shown", [(1.001, "1.0e-03"), (float("nan"), "nan")])
def test_a_file_that_differs_from_the_model_is_not_kept(
    exported, tmp_path, monkeypatch, change, shown
):
    one = exported()
    changed = {**one.model, "extractor": copy.deepcopy(one.model["extractor"])}
    norm = changed["extractor"].head.norm
    norm.weight.data *= change
    norm.bias.data *= change
    content = one.path.read_bytes()
    monkeypatch.setattr(onnx_model, "_exported", lambda *arguments: content)
    with pytest.raises(InputError, match=f"model.onnx: its embeddings differ .* by {shown}"):
        write_onnx(changed, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written(exported, tmp_path, monkeypatch):
    one = exported()
    content = one.path.read_bytes()
    monkeypatch.setattr(onnx_model, "_exported", lambda *arguments: content)
    with pytest.raises(InputError, match="can't be written"):
        write_onnx(one.model, tmp_path / "none" / "model.onnx")


def test_a_model_that_leaves_out_frames_is_refused(tmp_path):
    model = make_model() | {"features": LogMel(vad="energy")}
    with pytest.raises(InputError, match="leaves out quiet frames .* --onnx False"):
        write_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
