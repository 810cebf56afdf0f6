"""--dry_run: what it says beside what a training then has, and what it leaves."""

import re
import runpy
from pathlib import Path

import pytest
import torch
from corpora import TINY, as_arguments, write_corpus

from local.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
FACTORS = {"": 1, "million": 1e6, "billion": 1e9, "trillion": 1e12, "MB": 1e6, "GB": 1e9}
# Files have headers and names besides their tensors: these should be large.
SETTINGS = TINY | {"width": 128, "embedding_size": 128, "pooling": "statistics"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def run(corpus, tmp_path, capsys):
    """Runs a training with settings; returns what it prints."""
    main = runpy.run_path(str(ROOT / "recipes" / "train_vgg.py"))["main"]

    def call(*flags, **settings):
        settings = SETTINGS | corpus | {"out_dir": tmp_path / "out"} | settings
        arguments = ["--noprogressbar", *as_arguments(settings), *flags]
        main([str(ROOT / "hparams" / "vgg.yaml"), *arguments])
        return capsys.readouterr().out

    return call


def figures(printed):
    """The first number of each line, by the words in front of it."""
    found, name = {}, ""
    for line in printed.splitlines():
        match = re.match(r"(.{16})([\d.,]+) ?(million|billion|trillion|MB|GB)?", line)
        name = match[1].strip() or f"{name}, then"
        found[name] = float(match[2].replace(",", "")) * FACTORS[match[3] or ""]
    return found


def test_files_are_as_large_as_it_says(run, tmp_path):
    said = figures(run("--dry_run"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"manifests", ".lock"}
    run(number_of_epochs=1, validate_every=1)
    (model,) = (tmp_path / "out").glob("model_*.pt")
    assert said["a model"] == pytest.approx(model.stat().st_size, rel=0.02)
    newest = max((tmp_path / "out" / "save").glob("CKPT*"), key=lambda path: path.stat().st_mtime)
    size = sum(path.stat().st_size for path in newest.iterdir())
    assert said["a checkpoint"] == pytest.approx(size, rel=0.02)
    assert said["disk"] == pytest.approx(4 * (said["a model"] + said["a checkpoint"]), rel=0.01)
    states = torch.load(model, weights_only=True)
    optimizer = states["optimizer"]["state"].values()
    in_optimizer = sum(tensor.nbytes for state in optimizer for tensor in state.values())
    assert said["optimizer"] == pytest.approx(in_optimizer, rel=0.01)
    num_directions = states["classifier"]["directions"].numel()
    assert said["parameters, then"] == num_directions
    assert said["gradients"] == pytest.approx(4 * (said["parameters"] + num_directions), rel=0.01)


def test_operations_and_activations_follow_batch_and_network(run):
    one, parts, wide = (
        figures(run("--dry_run", **settings))
        for settings in ({}, {"batch_size": 8, "grad_accumulation_factor": 2}, {"width": 256})
    )
    chunk, update = "operations", "operations, then"
    assert parts[chunk] == one[chunk] and parts[update] == pytest.approx(2 * one[update], rel=0.01)
    assert one[update] == pytest.approx(6 * 4 * one[chunk], rel=0.01)
    assert 3.5 < wide[chunk] / one[chunk] < 4
    assert parts["activations"] == pytest.approx(one["activations"], rel=0.01)
    assert wide["activations"] == pytest.approx(2 * one["activations"], rel=0.1)


def test_wrong_data_and_batches_are_refused_as_in_training(run, tmp_path):
    (tmp_path / "labels.txt").write_text("nobody 0 -1\nno one 1 -1\n")
    with pytest.raises(InputError, match="labels.txt:2"):
        run("--dry_run", train_labels_path=tmp_path / "labels.txt")
    with pytest.raises(InputError, match="leaves one chunk for a batch norm"):
        run("--dry_run", grad_accumulation_factor=4)
    with pytest.raises(InputError, match="optimizer"):
        run("--dry_run", optimizer="lion")
