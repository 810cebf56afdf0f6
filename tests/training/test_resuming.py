"""A run that was interrupted ends as one that was not: the same weights, the same train log.

With everything that is random in a training switched on.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from corpora import EVERY_AUGMENTATION, write_corpus
from runs import Runs, assert_same

from local.training.checkpoints import WholeCheckpointer


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    return Runs(corpus, tmp_path_factory.mktemp("runs"), **EVERY_AUGMENTATION)


@pytest.fixture(scope="module")
def expected(runs):
    assert runs.train("whole") == 0, runs.printed("whole")
    assert len(runs.log("whole").splitlines()) == 2
    return runs.result("whole")


@pytest.mark.parametrize(
    "place, count",
    [
        ("step", 10),  # in the first epoch, between two updates
        ("step", 24),  # the last
        ("validation", 1),
        ("best", 1),
        ("epoch", 2),
        ("writing", 4),  # half of a file, at the first checkpoint, before the first step
        ("digests", 5),  # at the end of the first epoch
        ("named", 20),
        ("clearing", 2),
        ("weights", 1),
    ],
)
def test_killed_at_a_place(runs, expected, place, count):
    name = f"{place}{count}"
    assert runs.train(name, place, count, "SIGKILL") == -signal.SIGKILL, runs.printed(name)
    assert runs.train(name) == 0, runs.printed(name)
    assert_same(runs.result(name), expected)
    left = {path.name for path in (runs.folder / name / "save").iterdir()}
    assert len(left) <= 3 and all(found.startswith("CKPT") for found in left)


def test_killed_again_and_again_at_random_moments(runs, expected):
    rng = random.Random(4)
    name = "random"
    for _ in range(8):
        process = runs.start(name)
        process.join(rng.uniform(0.2, 0.6))
        process.kill()
        process.join()
    assert runs.train(name) == 0, runs.printed(name)
    assert_same(runs.result(name), expected)


@pytest.mark.parametrize(
    "signal_name, place, count",
    [
        ("SIGTERM", "step", 7),
        ("SIGUSR1", "validation", 2),
        ("SIGINT", "step", 7),
        ("SIGTERM", "validation", 1),
    ],
)
def test_signals_make_a_checkpoint(runs, expected, signal_name, place, count):
    name = f"{signal_name}-{place}"
    code = runs.train(name, place, count, signal_name, ckpt_interval_steps=0)
    assert code == (130 if signal_name == "SIGINT" else os.EX_TEMPFAIL)
    printed = runs.printed(name)
    updates = 4 if place == "step" else 6
    assert f"Stopped in epoch 1 after {updates} updates" in printed
    assert "The same command goes on from there" in printed and "Traceback" not in printed
    assert WholeCheckpointer(runs.folder / name / "save").find_checkpoint().meta["updates"]
    assert runs.train(name) == 0
    assert f"Going on after {updates} updates" in runs.printed(name)
    assert_same(runs.result(name), expected)


def test_workers_of_the_data_loader_outlive_the_signal(runs):
    """A batch system sends signals to all processes of a job."""
    name = "workers"
    changes = {"max_memory_gb": 0, "num_workers": 1, "validate_every": 2000}
    process = runs.start(name, **changes)
    runs.wait_for(name, "Going into epoch 1")
    time.sleep(0.3)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children
    for pid in (*map(int, children), process.pid):
        os.kill(pid, signal.SIGTERM)
    process.join(30)
    assert process.exitcode == os.EX_TEMPFAIL, runs.printed(name)


def test_damaged_checkpoint_is_reported_and_the_one_before_used(runs, expected):
    name = "damaged"
    runs.train(name, "step", 20, "SIGKILL")
    newest = WholeCheckpointer(runs.folder / name / "save").find_checkpoint()
    data = bytearray(newest.paramfiles["classifier"].read_bytes())
    data[len(data) // 2] ^= 1
    newest.paramfiles["classifier"].write_bytes(data)
    assert runs.train(name) == 0
    assert f"damaged+{newest.path.name}: is damaged (classifier.ckpt" in runs.printed(name)
    assert_same(runs.result(name), expected)


def test_run_without_a_whole_checkpoint_is_refused(runs):
    name = "ruined"
    runs.train(name, "step", 10, "SIGKILL")
    for path in (runs.folder / name / "save").glob("CKPT*/CKPT.yaml"):
        path.write_bytes(b"\0" * 10)
    assert runs.train(name) == 1
    assert "every checkpoint is damaged" in runs.printed(name)


def test_a_finished_run_is_left_as_it_is(runs, expected):
    def files():
        paths = [path for path in (runs.folder / "whole").rglob("*") if path.name != ".lock"]
        return {path: path.stat().st_mtime_ns for path in paths}

    before = files()
    assert runs.train("whole") == 0
    assert "this training is finished (epoch 2 was its last)" in runs.printed("whole")
    assert runs.train("whole", normalization="cmvn") == 1
    assert "features.normalization: cmn before, cmvn now" in runs.printed("whole")
    assert files() == before


def test_other_accumulation_goes_on_inside_an_epoch(runs):
    name = "accumulation"
    runs.train(name, "step", 8, "SIGTERM")
    assert runs.train(name, grad_accumulation_factor=1, ckpt_interval_steps=2) == 0
    printed = runs.printed(name)
    assert "chunks of batch norm: 4 from now on, 2 before" in printed
    assert "chunks of an update" not in printed
    assert [line.split(",")[1] for line in runs.log(name).splitlines()] == [
        " updates: 6",
        " updates: 12",
    ]


def test_two_runs_in_one_directory_are_refused(runs):
    name = "busy"
    first = runs.start(name, validate_every=3000)
    runs.wait_for(name, "Going into epoch 1")
    hyperparameters = (runs.folder / name / "hyperparams.yaml").stat()
    assert runs.train(name) == 1
    assert "another run is writing here" in runs.printed(name)
    assert first.is_alive()
    assert (runs.folder / name / "hyperparams.yaml").stat() == hyperparameters
    first.kill()
    first.join()
