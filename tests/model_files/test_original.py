import argparse
import collections
import os
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from original_network import OriginalNetwork, checkpoint_of
from runs import run_apart
from torch.nn.utils.rnn import pad_sequence

from local.errors import InputError
from local.model_files import model_dir
from local.model_files.model_dir import load_model
from local.model_files.original import convert
from local.models.embedding import SpeakerClassifier

NAMES = {"Attention": "attention", "MHA": "multi_head", "DoubleMHA": "double_multi_head"}
QUERY = "poolingLayer.utteranceAttention.query"
LENGTHS = (40, 97, 33)


def convert_content(content, folder, **options):
    """Saves a checkpoint and converts it; returns the model directory."""
    path, out_dir = folder / "original.chkpt", folder / "model"
    torch.save(content, path)
    convert(path, out_dir, **options)
    return out_dir


def refusal(content, folder):
    """What is said of a checkpoint that is refused; nothing is left of it."""
    with pytest.raises(InputError) as caught:
        convert_content(content, folder)
    assert [path.name for path in folder.iterdir()] == ["original.chkpt"]
    assert str(folder / "original.chkpt") in str(caught.value)
    return str(caught.value)


def config_of(out_dir):
    return pickle.loads((out_dir / "config.pkl").read_bytes())


def assert_same_embedding(out_dir, network):
    features = 2 * torch.randn(1, 50, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        embedding = load_model(out_dir)["extractor"].eval()(features)
    torch.testing.assert_close(embedding, network.embed(features), rtol=0, atol=1e-5)


@pytest.fixture
def content():
    return checkpoint_of(OriginalNetwork())


@pytest.mark.parametrize("num_blocks", [3, 4])
@pytest.mark.parametrize("pooling", list(NAMES))
def test_embeddings_and_cosines_are_those_of_the_original(pooling, num_blocks, tmp_path):
    network = OriginalNetwork(pooling, num_blocks, seed=num_blocks)
    model = load_model(convert_content(checkpoint_of(network), tmp_path))
    generator = torch.Generator().manual_seed(0)
    utterances = [2 * torch.randn(length, 80, generator=generator) for length in LENGTHS]
    expected = torch.cat([network.embed(utterance[None]) for utterance in utterances])
    assert expected.std() > 0.1
    with torch.no_grad():
        padded = pad_sequence(utterances, batch_first=True)
        embeddings = model["extractor"].eval()(padded, torch.tensor(LENGTHS))
    torch.testing.assert_close(embeddings, expected, rtol=0, atol=1e-5)
    classifier = SpeakerClassifier(6, num_speakers=5, projection=True)
    classifier.load_state_dict(torch.load(model["path"], weights_only=True)["classifier"])
    cosines = classifier(expected).detach()
    torch.testing.assert_close(cosines, network.cosines(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_heads", [1, 2, 16])
@pytest.mark.parametrize("pooling", ["MHA", "DoubleMHA"])
def test_network_comes_from_the_shapes_and_not_from_the_settings(pooling, num_heads, tmp_path):
    network = OriginalNetwork(pooling, num_heads=num_heads)
    wrong = {"heads_number": 7, "kernel_size": 3, "embedding_size": 9, "front_end": "VGG3L"}
    content = checkpoint_of(network, pooling_method="Attention", **wrong)
    out_dir = convert_content(content, tmp_path)
    assert_same_embedding(out_dir, network)
    config = config_of(out_dir)
    expected = {"pooling": NAMES[pooling], "num_heads": num_heads, "num_blocks": 4, "width": 16}
    expected |= {"hidden_size": 7, "embedding_size": 6, "num_speakers": 5}
    assert {name: config[name] for name in expected} == expected


def test_names_of_several_gpus_and_other_number_types_are_taken(tmp_path):
    network = OriginalNetwork("MHA")
    content = checkpoint_of(network, prefix="module.")
    content["model"] = {name: value.double() for name, value in content["model"].items()}
    assert_same_embedding(convert_content(content, tmp_path), network)


def test_what_the_forward_pass_leaves_out_may_be_missing(content, tmp_path):
    unused = ("b1.", "b3.", "b2.num_batches_tracked")
    for name in [name for name in content["model"] if name.startswith(unused)]:
        del content["model"][name]
    assert_same_embedding(convert_content(content, tmp_path), OriginalNetwork())


def test_model_directory_is_as_of_a_training(content, tmp_path):
    model = load_model(convert_content(content, tmp_path))
    weights = torch.load(model["path"], weights_only=True)
    assert weights.keys() == {"extractor", "classifier", "step", "epoch", "eer_percent"}
    assert (weights["step"], weights["epoch"], weights["eer_percent"]) == (1200, 3, None)
    assert model["path"].name == "model_00001200.pt" and model["sample_rate"] == 16000


# Settings


def test_settings_say_what_shapes_do_not(tmp_path):
    known = {"normalization": "cmvn", "window_size": 2.5, "marginFactor": 0.3, "annealing": True}
    known |= {"scalingFactor": 20.0, "learning_rate": 0.002, "weight_decay": 0.01}
    known |= {"mask_prob": 0.25, "valid_clients": "labels/clients.ndx", "optimizer": "SGD"}
    out_dir = convert_content(checkpoint_of(OriginalNetwork(), **known), tmp_path)
    expected = {"normalization": "cmvn", "chunk_samples": 40000, "margin": 0.3, "scale": 20.0}
    expected |= {"lr": 0.002, "weight_decay": 0.01, "head_drop": 0.25, "margin_kind": "am"}
    expected |= {"margin_schedule": "annealing", "valid_clients": "labels/clients.ndx"}
    expected |= {"train_labels_path": None, "out_dir": str(out_dir)}
    config = config_of(out_dir)
    assert {name: config[name] for name in expected} == expected
    assert load_model(out_dir)["features"].normalization == "cmvn"
    convert(tmp_path / "original.chkpt", tmp_path / "other", normalization="none")
    assert load_model(tmp_path / "other")["features"].normalization == "none"


@pytest.mark.parametrize("found", [{"window_size": "2", "learning_rate": True}, {}, None])
def test_settings_of_wrong_types_or_none_change_nothing(content, found, tmp_path):
    content["settings"] = found and argparse.Namespace(**found)
    config = config_of(convert_content(content, tmp_path))
    expected = {"normalization": "cmn", "chunk_samples": 56000, "lr": 0.0001, "margin": 0.4}
    assert {name: config[name] for name in expected} == expected


def test_texts_of_the_settings_stay_texts(tmp_path):
    mark = tmp_path / "executed"
    texts = {"train_data_dir": f"!apply:os.mkdir ['{mark}']", "valid_clients": "!ref <seed>"}
    out_dir = convert_content(checkpoint_of(OriginalNetwork(), **texts), tmp_path)
    load_model(out_dir)
    config = config_of(out_dir)
    assert {name: config[name] for name in texts} == texts and not mark.exists()


# What is refused


class Malice:
    def __init__(self, folder):
        self.call = os.mkdir, (str(folder),)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("place", ["settings", "model", "all"])
def test_malicious_checkpoint_is_refused_and_executes_nothing(content, place, tmp_path):
    malice = Malice(tmp_path / "executed")
    if place == "settings":
        content["settings"].window_size = malice
    elif place == "model":
        content["model"]["fc1.weight"] = malice
    assert "mkdir: only tensors" in refusal(malice if place == "all" else content, tmp_path)


def test_other_objects_are_refused_by_name(content, tmp_path):
    content["settings"].normalization = collections.deque([1])
    assert "holds collections.deque: only tensors and plain values" in refusal(content, tmp_path)


def test_file_that_is_no_checkpoint_is_refused(tmp_path):
    for name, data in (("empty", b""), ("text", b"weights\n"), ("pickle", pickle.dumps(7, 2))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: is damaged, or not a checkpoint"):
            convert(tmp_path / name, tmp_path / "model")
    with pytest.raises(InputError, match="none.chkpt: can't be read .No such file"):
        convert(tmp_path / "none.chkpt", tmp_path / "model")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_damage_of_any_kind_gives_a_message(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "original.chkpt"
    is_zip = data.draw(st.booleans())
    content = checkpoint_of(OriginalNetwork(width=8), window_size=3.5)
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    damaged = bytearray(path.read_bytes())
    # The pickle is at the beginning of both formats.
    place = data.draw(st.integers(0, 6000))
    if data.draw(st.booleans()):
        damaged[place] ^= data.draw(st.integers(1, 255))
    else:
        del damaged[place:]
    path.write_bytes(damaged)
    try:
        convert(path, folder / "model")
    except InputError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("content", [[1, 2], {}, {"model": torch.ones(2)}, {"model": {"a": 3}}])
def test_other_content_is_refused(content, tmp_path):
    assert "no checkpoint" in refusal(content, tmp_path)


def test_missing_and_unknown_parameters_are_named_together(content, tmp_path):
    for name in ("fc2.weight", "front_end.conv42.bias", "preLayer.bias"):
        del content["model"][name]
    content["model"]["extra.weight"] = torch.ones(2)
    said = refusal(content, tmp_path)
    assert "missing parameters: ['fc2.weight', 'preLayer.bias', 'front_end.conv42.bias']" in said
    assert "unknown parameters: ['extra.weight']" in said


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("fc2.weight", torch.zeros(7), "can't be converted"),
        ("fc1.bias", torch.zeros(6), "size mismatch for extractor.head.hidden.0.bias"),
        (QUERY, torch.zeros(11, 7), "7 does not divide the 80"),
        (QUERY, torch.zeros(20, 0), "no model can be built from it"),
        ("front_end.conv42.bias", torch.zeros(12), "width 12 can't be halved 3 times"),
        ("fc1.bias", torch.full((7,), float("nan")), "parameters that are not finite"),
        ("preLayer.weight", torch.full((6, 6), 1e300, dtype=torch.float64), "not finite"),
    ],
)
def test_parameters_that_fit_no_network_are_refused(name, value, said, content, tmp_path):
    content["model"][name] = value
    assert said in refusal(content, tmp_path)


def test_pooling_without_an_equal_is_refused(tmp_path):
    content = checkpoint_of(OriginalNetwork("Attention"))
    del content["model"]["poolingLayer.att"]
    assert "no pooling of the kinds Attention, MHA and DoubleMHA" in refusal(content, tmp_path)


def test_nothing_is_left_where_writing_fails(content, tmp_path, monkeypatch):
    def fail(out_dir, content):
        raise OSError("No space left on device")

    monkeypatch.setattr(model_dir, "save_weights", fail)
    with pytest.raises(InputError, match="model: can't be written .No space left"):
        convert_content(content, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["original.chkpt"]


def test_script_runs_from_elsewhere_and_replaces_nothing(tmp_path):
    torch.save(checkpoint_of(OriginalNetwork("MHA")), tmp_path / "best.chkpt")
    arguments = ["best.chkpt", "--out_dir", "results/original"]
    code, printed = run_apart("convert_original.py", arguments, tmp_path)
    assert code == 0, printed
    assert "'pooling': 'multi_head'" in printed and "'num_speakers': 5" in printed
    assert "verify.yaml --model_dir results/original" in printed
    assert load_model(tmp_path / "results" / "original")["step"] == 1200
    code, printed = run_apart("convert_original.py", arguments, tmp_path)
    assert code == 1 and "Traceback" not in printed
    assert "results/original: exists already" in printed
