import argparse
import collections
import errno
import os
import pickle
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from original_network import OriginalNetwork, checkpoint_of
from torch.nn.utils.rnn import pad_sequence

from local.errors import InputError
from local.model_files import model_dir
from local.model_files.model_dir import load_model
from local.model_files.original_checkpoint import read_original
from local.model_files.original_weights import convert
from local.models.embedding import SpeakerClassifier

SCRIPT = Path(__file__).resolve().parents[2] / "recipes" / "convert_original.py"
NAMES = {"Attention": "attention", "MHA": "multi_head", "DoubleMHA": "double_multi_head"}
LENGTHS = (40, 97, 33)


def convert_file(content, folder, *options):
    """Saves a checkpoint and runs the script on it in this process; returns the out_dir."""
    path, out_dir = folder / "original.chkpt", folder / "model"
    torch.save(content, path)
    runpy.run_path(str(SCRIPT))["main"]([str(path), "--out_dir", str(out_dir), *options])
    return out_dir


def refusal(content, folder):
    """What the script says of a checkpoint that it refuses; nothing is left of it."""
    with pytest.raises(InputError) as caught:
        convert_file(content, folder)
    assert [path.name for path in folder.iterdir()] == ["original.chkpt"]
    assert str(folder / "original.chkpt") in str(caught.value)
    return str(caught.value)


def features_of(num_frames, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(num_frames, 80, generator=generator)


def config_of(out_dir):
    return pickle.loads((out_dir / "config.pkl").read_bytes())


@pytest.fixture
def content():
    return checkpoint_of(OriginalNetwork())


# What a conversion gives


@pytest.mark.parametrize("num_blocks", [3, 4])
@pytest.mark.parametrize("pooling", list(NAMES))
def test_embeddings_and_cosines_are_those_of_the_original(pooling, num_blocks, tmp_path):
    network = OriginalNetwork(pooling, num_blocks, seed=num_blocks)
    model = load_model(convert_file(checkpoint_of(network), tmp_path))
    extractor = model["extractor"].eval()
    utterances = [features_of(length, seed) for seed, length in enumerate(LENGTHS)]
    expected = torch.cat([network.embed(utterance[None]) for utterance in utterances])
    with torch.no_grad():
        alone = torch.cat([extractor(utterance[None]) for utterance in utterances])
        padded = pad_sequence(utterances, batch_first=True)
        together = extractor(padded, torch.tensor(LENGTHS))
    assert expected.std() > 0.1
    torch.testing.assert_close(alone, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(together, expected, rtol=0, atol=1e-5)
    weights = torch.load(model["path"], weights_only=True)
    classifier = SpeakerClassifier(6, num_speakers=5, projection=True)
    classifier.load_state_dict(weights["classifier"])
    torch.testing.assert_close(
        classifier(expected).detach(), network.cosines(expected), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("num_heads", [1, 2, 16])
@pytest.mark.parametrize("pooling", ["MHA", "DoubleMHA"])
def test_number_of_heads_comes_from_the_shapes(pooling, num_heads, tmp_path):
    network = OriginalNetwork(pooling, num_heads=num_heads)
    wrong = {"heads_number": 7, "kernel_size": 3, "embedding_size": 9, "front_end": "VGG3L"}
    out_dir = convert_file(checkpoint_of(network, pooling_method="Attention", **wrong), tmp_path)
    features = features_of(50)[None]
    with torch.no_grad():
        embedding = load_model(out_dir)["extractor"].eval()(features)
    torch.testing.assert_close(embedding, network.embed(features), rtol=0, atol=1e-5)
    config = config_of(out_dir)
    assert config["pooling"] == NAMES[pooling] and config["num_heads"] == num_heads
    assert config["num_blocks"] == 4 and config["width"] == 16 and config["num_speakers"] == 5


def test_names_of_several_gpus_and_other_number_types_are_taken(tmp_path):
    network = OriginalNetwork("MHA")
    content = checkpoint_of(network, prefix="module.")
    content["model"] = {name: value.double() for name, value in content["model"].items()}
    content["model"]["module.b2.num_batches_tracked"] = torch.tensor(7)
    model = load_model(convert_file(content, tmp_path))
    features = features_of(50)[None]
    with torch.no_grad():
        embedding = model["extractor"].eval()(features)
    torch.testing.assert_close(embedding, network.embed(features), rtol=0, atol=1e-5)
    state = torch.load(model["path"], weights_only=True)["extractor"]
    assert state["head.norm.num_batches_tracked"] == 7
    assert state["pooling.query"].is_contiguous() and state["pooling.query"].dtype == torch.float32


def test_what_the_forward_pass_leaves_out_may_be_missing(content, tmp_path):
    unused = ("b1.", "b3.", "b2.num_batches_tracked")
    content["model"] = {
        name: value for name, value in content["model"].items() if not name.startswith(unused)
    }
    features = features_of(50)[None]
    with torch.no_grad():
        embedding = load_model(convert_file(content, tmp_path))["extractor"].eval()(features)
    torch.testing.assert_close(embedding, OriginalNetwork().embed(features), rtol=0, atol=1e-5)


def test_model_is_small_plain_and_says_what_is_not_known(content, tmp_path):
    model = load_model(convert_file(content, tmp_path))
    weights = torch.load(model["path"], weights_only=True)
    assert weights.keys() == {"extractor", "classifier", "step", "epoch", "eer_percent"}
    assert (weights["step"], weights["epoch"], weights["eer_percent"]) == (1200, 3, None)
    assert model["path"].name == "model_00001200.pt" and model["sample_rate"] == 16000
    # Without the optimizer's two moments of each weight.
    checkpoint = (tmp_path / "original.chkpt").stat().st_size
    assert model["path"].stat().st_size < 0.6 * checkpoint


# Settings


def test_settings_say_what_shapes_do_not(tmp_path):
    known = {
        "normalization": "cmvn",
        "window_size": 2.5,
        "marginFactor": 0.3,
        "scalingFactor": 20.0,
        "learning_rate": 0.002,
        "weight_decay": 0.01,
        "mask_prob": 0.25,
        "annealing": True,
        "valid_clients": "labels/clients.ndx",
        "optimizer": "SGD",
    }
    out_dir = convert_file(checkpoint_of(OriginalNetwork(), **known), tmp_path)
    config = config_of(out_dir)
    expected = {"normalization": "cmvn", "chunk_samples": 40000, "margin": 0.3, "scale": 20.0}
    expected |= {"lr": 0.002, "weight_decay": 0.01, "head_drop": 0.25, "margin_kind": "am"}
    expected |= {"margin_schedule": "annealing", "valid_clients": "labels/clients.ndx"}
    expected |= {"train_labels_path": None, "out_dir": str(out_dir)}
    assert {name: config[name] for name in expected} == expected
    assert load_model(out_dir)["features"].normalization == "cmvn"


def test_settings_that_are_wrong_or_not_there_change_nothing(content, tmp_path, capsys):
    junk = {"normalization": ["cmvn"], "window_size": -1, "marginFactor": float("nan")}
    junk |= {"scalingFactor": "30", "learning_rate": True, "mask_prob": 1.0, "annealing": None}
    junk |= {"train_data_dir": 3, "valid_clients": "a\nb"}
    configs = []
    for name, found in (("junk", argparse.Namespace(**junk)), ("text", "none"), ("absent", None)):
        content["settings"] = found
        (tmp_path / name).mkdir()
        config = config_of(convert_file(content, tmp_path / name))
        configs.append({key: config[key] for key in config if key not in ("out_dir", "__set_seed")})
        assert "cmn (the settings do not say; see --normalization)" in capsys.readouterr().out
    for config in configs[1:]:
        assert config["margin"] == configs[0]["margin"] == 0.4
        assert config["head_drop"] == configs[0]["head_drop"] and config["chunk_samples"] == 56000


def test_normalization_of_the_command_line_comes_before_that_of_the_settings(tmp_path, capsys):
    content = checkpoint_of(OriginalNetwork(), normalization="cmvn")
    out_dir = convert_file(content, tmp_path, "--normalization", "none")
    assert load_model(out_dir)["features"].normalization == "none"
    assert "Features: none\n" in capsys.readouterr().out


def test_texts_of_the_settings_stay_texts(tmp_path):
    mark = tmp_path / "executed"
    texts = {"train_data_dir": f"!apply:os.mkdir ['{mark}']", "valid_clients": "!ref <seed>"}
    out_dir = convert_file(checkpoint_of(OriginalNetwork(), **texts), tmp_path)
    load_model(out_dir)
    config = config_of(out_dir)
    assert {name: config[name] for name in texts} == texts and not mark.exists()


def test_numpy_numbers_of_any_version_are_taken(content, tmp_path):
    content |= {"step": np.int64(77), "epoch": np.int32(2)}
    content["settings"] = argparse.Namespace(
        window_size=np.float32(2.5), marginFactor=np.float64(0.25), annealing=np.bool_(True)
    )
    path = tmp_path / "original.pt"
    torch.save(content, path)
    # Not in the zip format, so that the older name can be put in.
    older = tmp_path / "older.pt"
    torch.save(content, older, _use_new_zipfile_serialization=False)
    renamed = older.read_bytes().replace(b"numpy._core.multi", b"numpy.core.multi")
    older.write_bytes(renamed)
    assert b"cnumpy.core.multiarray\nscalar\n" in renamed
    for original in (read_original(path), read_original(older)):
        assert (original.step, original.epoch) == (77, 2)
        assert original.settings == {"window_size": 2.5, "marginFactor": 0.25, "annealing": True}


# What is refused


class Malice:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("place", ["settings", "model", "all"])
@pytest.mark.parametrize("is_zip", [True, False])
def test_malicious_checkpoint_is_refused_and_executes_nothing(content, place, is_zip, tmp_path):
    malice = Malice(os.mkdir, str(tmp_path / "executed"))
    if place == "settings":
        content["settings"].window_size = malice
    elif place == "model":
        content["model"]["fc1.weight"] = malice
    path = tmp_path / "original.chkpt"
    torch.save(malice if place == "all" else content, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(InputError, match=r"original.chkpt: holds (posix|nt|os)\.mkdir: only tens"):
        read_original(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "value, named",
    [
        (Path("a"), "pathlib"),
        (np.ones(2), "numpy.*_reconstruct"),
        (np.str_("cmn"), "a numpy scalar of the type 'U3'"),
        (collections.deque([1]), "collections.deque"),
    ],
)
def test_other_objects_are_refused_by_name(content, value, named, tmp_path):
    content["settings"].normalization = value
    path = tmp_path / "original.chkpt"
    torch.save(content, path)
    with pytest.raises(InputError, match=f"holds {named}.*argparse.Namespace are read"):
        read_original(path)


def test_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="none.chkpt: can't be read .No such file"):
        read_original(tmp_path / "none.chkpt")
    with pytest.raises(InputError, match="can't be read .Is a directory"):
        read_original(tmp_path)
    for name, data in (("empty", b""), ("text", b"weights\n"), ("pickle", pickle.dumps(7, 4))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: is damaged, or not a checkpoint"):
            read_original(tmp_path / name)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint in the newer and in the older format, as bytes."""
    path = tmp_path_factory.mktemp("saved") / "original.chkpt"
    files = []
    for is_zip in (True, False):
        content = checkpoint_of(OriginalNetwork(width=8), window_size=np.float64(3.5))
        torch.save(content, path, _use_new_zipfile_serialization=is_zip)
        files.append(path.read_bytes())
    return path, files


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damage_of_any_kind_gives_a_message(saved, data):
    path, files = saved
    damaged = bytearray(data.draw(st.sampled_from(files)))
    # The pickle is at the beginning of both formats.
    place = data.draw(st.integers(0, 6000))
    if data.draw(st.booleans()):
        damaged[place] ^= data.draw(st.integers(1, 255))
    else:
        del damaged[place:]
    path.write_bytes(damaged)
    try:
        convert(read_original(path))
    except InputError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    "content, said",
    [
        ([1, 2], "it holds a list$"),
        ({}, "a dict with nothing"),
        ({"extractor": {}, "step": 1}, "a dict with extractor, step"),
        ({"model": torch.ones(2)}, "a dict with model"),
        ({"model": {"fc1.weight": 3}}, "are no tensors of numbers: fc1.weight"),
        ({"model": {1: torch.ones(2)}}, "are no tensors of numbers: 1"),
        ({"model": {}}, r"missing parameters \(23\): front_end.conv11.weight, .* and 18 more"),
    ],
)
def test_other_content_is_refused(content, said, tmp_path):
    path = tmp_path / "original.chkpt"
    torch.save(content, path)
    with pytest.raises(InputError, match=said):
        convert(read_original(path))


def test_missing_and_unknown_parameters_are_named_together(content, tmp_path):
    model = content["model"]
    for name in ("fc2.weight", "front_end.conv42.bias", "preLayer.bias"):
        del model[name]
    model |= {f"extra{index}.weight": torch.ones(2) for index in range(7)}
    said = refusal(content, tmp_path)
    assert "missing parameters (3): front_end.conv42.bias, fc2.weight, preLayer.bias\n" in said
    assert "unknown parameters (7): extra0.weight, extra1.weight" in said and "2 more" in said


def test_parameters_that_are_there_twice_are_refused(content, tmp_path):
    content["model"]["module.fc1.bias"] = content["model"]["fc1.bias"]
    assert "twice, with and without 'module.'" in refusal(content, tmp_path)


def test_wrong_shapes_are_named_with_what_is_expected(content, tmp_path):
    content["model"]["b2.running_mean"] = torch.zeros(1, 6)
    content["model"]["front_end.conv21.weight"] = torch.zeros(4, 3, 3, 3)
    said = refusal(content, tmp_path)
    assert "b2.running_mean has the shape (1, 6), expected (6,)" in said
    assert "front_end.conv21.weight has the shape (4, 3, 3, 3), expected (4, 2, 3, 3)" in said
    assert "VGG4L of width 16 on 80 log-mel bins, DoubleMHA of 4 heads" in said


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("fc1.weight", torch.zeros(7), "shape (7,), expected 2 sizes above 0"),
        ("predictionLayer.W", torch.zeros(6, 0), "shape (6, 0), expected 2 sizes above 0"),
        ("poolingLayer.utteranceAttention.query", torch.zeros(11, 7), "7 does not divide the 80"),
        ("front_end.conv42.weight", torch.zeros(12, 16, 3, 3), "width 12 can't be halved 3 times"),
        ("fc1.bias", torch.zeros(7, dtype=torch.int32), "has numbers of the type torch.int32"),
        ("fc1.bias", torch.full((7,), float("nan")), "fc1.bias has values that are no finite"),
        ("preLayer.weight", torch.full((6, 6), 1e300, dtype=torch.float64), "no finite"),
    ],
)
def test_parameters_that_fit_no_network_are_refused(name, value, said, content, tmp_path):
    content["model"][name] = value
    assert said in refusal(content, tmp_path)


def test_features_of_another_size_are_refused(content, tmp_path):
    """40 bins leave 3 rows, and 48 values in a state of width 16."""
    content["model"] |= {
        "poolingLayer.utteranceAttention.query": torch.zeros(12, 4),
        "poolingLayer.headsAttention.att": torch.zeros(12, 1),
        "fc1.weight": torch.zeros(7, 12),
    }
    assert "query has the shape (12, 4), expected (20, 4)" in refusal(content, tmp_path)


def test_poolings_without_an_equal_are_refused_by_name(tmp_path):
    content = checkpoint_of(OriginalNetwork("Attention"))
    content["model"]["fc1.weight"] = torch.zeros(7, 160)
    said = refusal(content, tmp_path)
    assert "'Attention Statistical' pooling, which has no equal here" in said
    assert "Attention, MHA, DoubleMHA" in said
    del content["model"]["poolingLayer.att"]
    assert "as with 'Statistical' pooling, which has no equal here" in refusal(content, tmp_path)


def test_folder_that_holds_something_is_left_as_it_is(content, tmp_path):
    out_dir = convert_file(content, tmp_path)
    before = {path.name: path.read_bytes() for path in out_dir.iterdir()}
    with pytest.raises(InputError, match="model: exists already: give another"):
        convert_file(content | {"step": 1300}, tmp_path)
    assert {path.name: path.read_bytes() for path in out_dir.iterdir()} == before


def test_empty_folder_is_taken_and_a_file_is_not(content, tmp_path):
    (tmp_path / "model").mkdir()
    assert load_model(convert_file(content, tmp_path))["step"] == 1200
    (tmp_path / "file").write_text("notes")
    checkpoint = str(tmp_path / "original.chkpt")
    main = runpy.run_path(str(SCRIPT))["main"]
    for out_dir in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="file"):
            main([checkpoint, "--out_dir", str(out_dir)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "model", "original.chkpt"]


def test_nothing_is_left_where_writing_fails(content, tmp_path, monkeypatch):
    def fail(out_dir, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(model_dir, "save_weights", fail)
    with pytest.raises(InputError, match="model: can't be written .No space left"):
        convert_file(content, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["original.chkpt"]


# The script


def test_script_runs_from_elsewhere_and_says_what_is_next(tmp_path):
    torch.save(checkpoint_of(OriginalNetwork("MHA"), normalization="cmn"), tmp_path / "best.chkpt")
    command = [sys.executable, str(SCRIPT), "best.chkpt", "--out_dir", "results/original"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "best.chkpt: VGG4L of width 16 on 80 log-mel bins, MHA of 4 heads" in done.stdout
    assert "5 training speakers, step 1200" in done.stdout
    assert "verify.yaml --model_dir results/original --valid_data_dir" in done.stdout
    assert load_model(tmp_path / "results" / "original")["step"] == 1200
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["original"]
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 1 and "Traceback" not in again.stderr
    assert "results/original: exists already" in again.stderr
