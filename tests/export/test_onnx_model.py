"""Models as ONNX, run by ONNX Runtime."""

import copy
import functools

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from local.errors import InputError
from local.export import onnx_model
from local.export.drawn_voice import drawn_voice
from local.export.onnx_model import write_onnx
from local.features.log_mel import LogMel
from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.pooling import make_pooling
from local.models.vgg import VGG

# An export takes seconds: what has code of its own is spread over a few models.
MODELS = {
    "multi_head": {
        "normalization": "cmvn",
        "channels": [2, 4, 8, 16],
        "hidden_size": 10,
        "relu": True,
    },
    "double_multi_head": {"normalization": "none", "batch_norm": False},
    "attentive_statistics": {"channels": [4, 8]},
}


def make_model(
    pooling="statistics",
    channels=(4, 8, 16),
    batch_norm=True,
    normalization="cmn",
    hidden_size=0,
    relu=False,
):
    torch.manual_seed(0)
    extractor = EmbeddingExtractor(
        VGG(list(channels), batch_norm=batch_norm),
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
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0  # the running statistics become those of the batch
    voices = np.stack([drawn_voice(16000, 1.0, seed) >> seed for seed in range(4)])
    noise = np.random.default_rng(0).normal(scale=1000, size=(4, 16000)).astype(np.int16)
    extractor.train()(features(torch.from_numpy(np.concatenate([voices, noise])))[0])
    # One scale: a value that is almost always 0 behind the ReLU is not blown up.
    variance = extractor.head.norm.running_var
    variance.fill_(variance.mean())


@pytest.fixture(scope="module")
def statistics(tmp_path_factory):
    """A model, and its ONNX file, in a folder of its own."""
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    model = make_model()
    model["extractor"].train()
    before = copy.deepcopy(model["extractor"].state_dict())
    assert write_onnx(model, path) < 1e-4
    return model, path, before


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    """A model, and the session of its ONNX file."""
    model = make_model(request.param, **MODELS[request.param])
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    assert write_onnx(model, path) < 1e-4
    return model, onnxruntime.InferenceSession(path)


def embed(model, waveforms):
    model["extractor"].eval()
    with torch.no_grad():
        return model["extractor"](model["features"](waveforms)[0]).numpy()


@pytest.mark.parametrize("batch_size", [1, 5])
def test_waveforms_of_any_length_give_the_embeddings_of_the_model(exported, batch_size):
    model, session = exported
    voices = np.stack([drawn_voice(16000, 3.0, seed) for seed in range(batch_size)])
    for num_samples in (1, 100, 511, 512, 513, 671, 672, 7777, 40000):
        waveforms = voices[:, -num_samples:]
        (embeddings,) = session.run(None, {"waveforms": waveforms / np.float32(32768)})
        expected = embed(model, torch.from_numpy(waveforms))
        assert embeddings.shape == (batch_size, 12)
        assert np.abs(embeddings - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_large_offset_costs_no_digits(statistics):
    model, path, _ = statistics
    noise = np.random.default_rng(0).normal(scale=5, size=(8, 16000))
    waveforms = (16384 + noise).astype(np.float32)
    session = onnxruntime.InferenceSession(path)
    (embeddings,) = session.run(None, {"waveforms": waveforms / np.float32(32768)})
    expected = embed(copy.deepcopy(model), torch.from_numpy(waveforms))
    assert np.abs(embeddings - expected).max() < 2e-5 * np.abs(expected).max()


def test_the_file_is_whole_and_says_what_it_is(statistics):
    _, path, _ = statistics
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    content = onnx.load(path)
    onnx.checker.check_model(content, full_check=True)
    assert b".py" not in path.read_bytes()  # nor in which folder the code was
    assert {prop.key: prop.value for prop in content.metadata_props}["sample_rate"] == "16000"
    (given,) = onnxruntime.InferenceSession(path).get_inputs()
    assert given.name == "waveforms" and given.type == "tensor(float)"
    assert all(isinstance(axis, str) for axis in given.shape)


def test_the_model_stays_as_it_is(statistics):
    model, _, before = statistics
    extractor = model["extractor"]
    assert extractor.training
    weight = extractor.front_end.blocks[1].convs[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(value, before[name]) for name, value in extractor.state_dict().items())


def test_features_of_any_length(tmp_path, capfd):
    model = make_model("temporal_average", channels=[4, 8])
    write_onnx(model, tmp_path / "model.onnx", kind="features")
    assert capfd.readouterr() == ("", "")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for num_frames in (1, 2, 16, 17, 333):
        features = np.random.default_rng(0).normal(size=(3, num_frames, 80)).astype(np.float32)
        (embeddings,) = session.run(None, {"features": features})
        with torch.no_grad():
            expected = model["extractor"].eval()(torch.from_numpy(features)).numpy()
        assert np.abs(embeddings - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("change, shown", [(1.001, "1.0e-03"), (float("nan"), "nan")])
def test_a_file_that_differs_from_the_model_is_not_kept(
    statistics, tmp_path, monkeypatch, change, shown
):
    model, path, _ = statistics
    changed = {**model, "extractor": copy.deepcopy(model["extractor"])}
    norm = changed["extractor"].head.norm
    norm.weight.data *= change
    norm.bias.data *= change
    content = path.read_bytes()
    monkeypatch.setattr(onnx_model, "_exported", lambda *arguments: content)
    with pytest.raises(InputError, match=f"model.onnx: its embeddings differ .* by {shown}"):
        write_onnx(changed, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written(statistics, tmp_path, monkeypatch):
    model, path, _ = statistics
    content = path.read_bytes()
    monkeypatch.setattr(onnx_model, "_exported", lambda *arguments: content)
    with pytest.raises(InputError, match="can't be written"):
        write_onnx(model, tmp_path / "none" / "model.onnx")
