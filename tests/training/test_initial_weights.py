"""Training that starts with the weights of another model."""

import logging
import runpy
from pathlib import Path

import pytest
import torch
from corpora import TINY, as_arguments, write_corpus
from exports import make_model_dir

from local.errors import InputError
from local.model_files.combined import combine
from local.model_files.model_dir import load_model, weight_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    settings = {name: TINY[name] for name in ("width", "pooling")}
    return make_model_dir(tmp_path_factory.mktemp("model") / "model", **settings)


def train(settings):
    main = runpy.run_path(str(ROOT / "recipes" / "train_vgg.py"))["main"]
    yaml_path = str(ROOT / "hparams" / "vgg.yaml")
    main([yaml_path, "--noprogressbar", *as_arguments(TINY | {"number_of_epochs": 1} | settings)])


def trained_weights(out_dir):
    return torch.load(weight_files(out_dir)[-1], weights_only=True)


def test_front_end_pooling_and_embedding_are_kept_and_the_classifier_is_new(
    corpus, model_dir, tmp_path
):
    # Without a learning rate the weights stay as they are.
    still = {"lr": 1e-300, "lr_schedule": "plateau", "weight_decay": 0.0, "average_decay": 0}
    train(corpus | still | {"init_from": model_dir, "out_dir": tmp_path / "out"})
    initial = load_model(model_dir)["extractor"].state_dict()
    weights = trained_weights(tmp_path / "out")
    for name, values in initial.items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(weights["extractor"][name], values), name
    assert weights["classifier"]["directions"].shape == (10, 8)
    log = (tmp_path / "out" / "log.txt").read_text()
    assert (
        f"Training starts with front end, pooling and embedding of {model_dir}/model_00000070.pt"
        in log
    )
    assert "The classifier of the training speakers is new: that model was trained on other" in log


def test_the_classifier_of_the_same_speakers_goes_on_with_their_other_voices(corpus, tmp_path):
    train(corpus | {"augment": True, "out_dir": tmp_path / "first"})
    first = trained_weights(tmp_path / "first")
    still = {"lr": 1e-300, "weight_decay": 0.0, "average_decay": 0, "chunk_samples": 16000}
    still |= {"preset": ROOT / "hparams" / "presets" / "large_margin.yaml"}
    settings = corpus | still | {"init_from": tmp_path / "first", "out_dir": tmp_path / "out"}
    train(settings)
    assert first["classifier"]["directions"].shape == (10, 8) and first["num_speakers"] == 2
    assert torch.equal(
        trained_weights(tmp_path / "out")["classifier"]["directions"],
        first["classifier"]["directions"],
    )
    assert "The classifier goes on, too: 10 classes" in (tmp_path / "out" / "log.txt").read_text()
    train(settings | {"number_of_epochs": 2})  # goes on with as many


@pytest.mark.parametrize(
    "change, reason",
    [
        ("labels", "that model was trained on other speakers"),
        ({"projection": True}, "projection.weight: 8x8 here, nothing there"),
    ],
)
def test_when_the_classifier_is_new(corpus, tmp_path, change, reason):
    train(corpus | {"out_dir": tmp_path / "first"})
    if change == "labels":
        swapped = {"0": "1", "1": "0"}
        lines = (line.split() for line in open(corpus["train_labels_path"]))
        text = "".join(f"{name} {swapped[label]} -1\n" for name, label, _ in lines)
        (tmp_path / "labels.txt").write_text(text)
        change = {"train_labels_path": tmp_path / "labels.txt"}
    train(corpus | change | {"init_from": tmp_path / "first", "out_dir": tmp_path / "out"})
    log = (tmp_path / "out" / "log.txt").read_text()
    assert f"The classifier of the training speakers is new: {reason}" in log


def test_a_run_that_goes_on_keeps_its_own_weights(corpus, model_dir, tmp_path):
    settings = corpus | {"init_from": model_dir, "out_dir": tmp_path / "out"}
    settings |= {"lr_schedule": "plateau", "margin_schedule": "constant"}
    train(settings)
    train(settings | {"number_of_epochs": 2})
    train(settings | {"number_of_epochs": 2, "out_dir": tmp_path / "whole"})
    assert (tmp_path / "out" / "log.txt").read_text().count("Training starts with") == 1
    logs = [(tmp_path / name / "train_log.txt").read_text() for name in ("out", "whole")]
    assert logs[0] == logs[1]


def test_other_settings_of_a_network_that_fits_are_warned_of(corpus, model_dir, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    changed = {"normalization": "cmvn", "extractor": {"pooling": {"score_scale": "heads"}}}
    train(corpus | changed | {"init_from": model_dir, "out_dir": tmp_path / "out"})
    text = (tmp_path / "out" / "log.txt").read_text()
    assert "features.normalization is cmvn in this run, cmn in that one" in text
    assert "extractor.pooling.score_scale is heads in this run, head_size in that one" in text
    assert "width" not in text.split("init_from:")[1].splitlines()[0]


@pytest.mark.parametrize(
    "change, difference",
    [
        ({"width": 16}, "front_end.blocks.0.convs.0.weight: 2x1x3x3 here, 1x1x3x3 there"),
        ({"pooling": "statistics"}, "pooling.over_states.query: nothing here, 4x6 there"),
        ({"hidden_size": 4}, "head.hidden.0.weight: 4x6 here, nothing there"),
    ],
)
def test_another_network_is_refused(corpus, model_dir, tmp_path, change, difference):
    with pytest.raises(InputError, match="is another network; give the settings of its model.yaml"):
        train(corpus | change | {"init_from": model_dir, "out_dir": tmp_path / "out"})
    with pytest.raises(InputError) as raised:
        train(corpus | change | {"init_from": model_dir, "out_dir": tmp_path / "out"})
    assert difference in str(raised.value)


def test_an_ensemble_is_refused(corpus, model_dir, tmp_path):
    combine([model_dir, make_model_dir(tmp_path / "another")], tmp_path / "both")
    with pytest.raises(InputError, match="both is an ensemble: give one of its models"):
        train(corpus | {"init_from": tmp_path / "both", "out_dir": tmp_path / "out"})


def test_no_model(corpus, tmp_path):
    with pytest.raises(InputError, match="nowhere: no trained model here"):
        train(corpus | {"init_from": "nowhere", "out_dir": tmp_path / "out"})
    assert not list(tmp_path.rglob("*.csv"))
