"""Several processes train and verify as one does; what ends one of them ends all."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from corpora import EVERY_AUGMENTATION, as_arguments, write_coloured_noise, write_corpus
from runs import Runs, assert_same

from local.errors import InputError
from local.scoring.score_files import read_scores

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_speakers=5)


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    return Runs(corpus, tmp_path_factory.mktemp("runs"), batch_size=8)


@pytest.fixture(scope="module")
def expected(runs):
    assert runs.train_together("whole") == [0, 0], runs.printed("whole")
    return runs.result("whole")


def recorded(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# Of the random draws, those of the chunks are the same in any number of processes.
LOSSES = {
    "max_masked_mels": 0,
    "head_drop": 0.0,
    "batch_size": 8,
    "grad_accumulation_factor": 1,
    "number_of_epochs": 1,
    "validate_every": 20,
    "ckpt_interval_steps": 0,
}


def test_two_processes_have_the_losses_of_one(tmp_path):
    """Without batch norm, which sees the chunks of one process; in float64, without rounding."""
    runs = Runs(write_corpus(tmp_path, num_speakers=12), tmp_path)
    for seed, path in enumerate(sorted((tmp_path / "audio").rglob("*.wav"))):
        write_coloured_noise(path, seed)
    found = {}
    for num_processes in (1, 2):
        name = f"losses{num_processes}"
        plan = {"record": str(runs.folder / name), "float64": True, "no_batch_norm": True}
        options = LOSSES | EVERY_AUGMENTATION | {"batch_norm": False, "plan": plan}
        codes = runs.train_together(f"{name}.run", num_processes=num_processes, **options)
        assert codes == [0] * num_processes, runs.printed(f"{name}.run")
        lines = [recorded(runs.folder / f"{name}.{rank}") for rank in range(num_processes)]
        losses = [[line["loss"] for line in recorded_lines] for recorded_lines in lines]
        assert all(one == losses[0] for one in losses)
        found[num_processes] = losses[0]
    assert len(found[1]) == 20 and found[2] == pytest.approx(found[1], abs=1e-8)
    assert found[1][-1] != pytest.approx(found[1][0], abs=0.01)


def test_gradients_are_exchanged_once_an_update(runs):
    name = "accumulation"
    options = LOSSES | {"grad_accumulation_factor": 2, "validate_every": 3}
    plan = {"record": str(runs.folder / name)}
    assert runs.train_together(f"{name}.run", plan=plan, **options) == [0, 0]
    first, second = (recorded(runs.folder / f"{name}.{rank}") for rank in (0, 1))
    # Between the steps of an update, each process has the gradients of its own chunks.
    assert all(a["grad"] != b["grad"] for a, b in zip(first[::2], second[::2], strict=True))
    assert [line["grad"] for line in first[1::2]] == [None] * 3
    assert first[0]["seed"] != second[0]["seed"]
    # Batch norm sees those of its own process.
    plan = "2 processes: 8 chunks in an update (batch_size 8), 2 in a batch norm"
    assert plan in runs.printed(f"{name}.run")


@pytest.mark.parametrize("place, count, rank", [("step", 9, "1"), ("validation", 1, "0")])
def test_killed_process_ends_all_and_the_run_goes_on(runs, expected, place, count, rank):
    name = f"{place}{rank}"
    codes = runs.train_together(name, place, count, "SIGKILL", rank)
    assert codes[int(rank)] == -signal.SIGKILL and codes[1 - int(rank)] == 1
    assert "The connection to another process is lost" in runs.printed(name)
    assert runs.train_together(name) == [0, 0], runs.printed(name)
    assert_same(runs.result(name), expected)


def test_silent_process_ends_all(runs):
    started = runs.start_together("silent", "step", 5, "SIGSTOP", "0", timeout_minutes=0.05)
    started[1].join(60)
    assert started[1].exitcode == 1
    assert "The connection to another process is lost" in runs.printed("silent")
    started[0].kill()
    started[0].join()


def test_signal_to_one_process_stops_all(runs, expected):
    codes = runs.train_together("stopped", "step", 3, "SIGUSR1", "1")
    assert codes == [os.EX_TEMPFAIL] * 2
    assert runs.printed("stopped").count("Stopped in epoch 1 after 2 updates") == 1
    assert runs.train_together("stopped") == [0, 0]
    assert_same(runs.result("stopped"), expected)


def test_three_processes_go_on_to_the_same_bits(runs):
    """Sums of three numbers depend on their order."""
    changes = {"batch_size": 12, "width": 32, "embedding_size": 64, "num_processes": 3}
    assert runs.train_together("three", **changes) == [0] * 3
    assert runs.train_together("parts", "step", 9, "SIGTERM", "1", **changes) == [75] * 3
    assert runs.train_together("parts", **changes) == [0] * 3
    assert_same(runs.result("parts"), runs.result("three"))


def test_other_numbers_of_processes_go_on(runs):
    name = "elastic"
    changes = {"batch_size": 6, "grad_accumulation_factor": 1}
    runs.train_together(name, "step", 3, "SIGTERM", "0", **changes)
    assert runs.train(name, "step", 4, "SIGTERM", **changes) == os.EX_TEMPFAIL
    # Six chunks in an update as before.
    assert re.findall(r"brain - (.*: .*) from now on, (.*) before", runs.printed(name)) == [
        ("processes: 1", "2"),
        ("chunks of batch norm: 6", "3"),
    ]
    changes["batch_size"] = 7
    assert runs.train_together(name, num_processes=3, **changes) == [0, 0, 0]
    assert "processes: 3 from now on, 1 before" in runs.printed(name)
    assert "chunks of an update: 9 from now on, 6 before" in runs.printed(name)
    assert re.findall(r"updates: (\d+)", runs.log(name)) == ["6", "12"]


def test_wrong_lists_are_one_message(runs, tmp_path):
    (tmp_path / "labels.txt").write_text("s0/u.0 zero -1\n")
    codes = runs.train_together("wrong", train_labels_path=tmp_path / "labels.txt")
    assert codes == [1, 1] and "Traceback" not in runs.printed("wrong")
    # The first process prints it at once, the other one says it a little later with its number.
    assert runs.printed("wrong").count("\n" + str(tmp_path / "labels.txt:1: label 'zero'")) == 1
    assert not (runs.folder / "wrong" / "save").exists()


def test_mistake_of_one_process_ends_all_with_its_cause(runs):
    """With torchrun itself; tests/test_slurm.py has it pass on signals."""
    plan = json.dumps({"steer": ["step", 3, "fail", "1"]})
    command = [str(Path(sys.executable).with_name("torchrun")), "--standalone"]
    command += ["--nproc_per_node=2", str(ROOT / "tests" / "helpers" / "steered.py"), plan]
    command += runs.arguments("failed")
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode != 0
    own, summary = (result.stdout + result.stderr).split("Root Cause")
    assert "[process 1] ZeroDivisionError: a mistake in the recipe. This ends all" in own
    assert "ZeroDivisionError: a mistake in the recipe" in summary


def run_script(name, arguments):
    """A script in this process."""
    runpy.run_path(str(ROOT / "recipes" / name))["main"](list(map(str, arguments)))


def test_verification_is_shared_out(runs, expected, corpus, tmp_path):
    settings = {key: path for key, path in corpus.items() if key.startswith("valid")}
    settings |= {"model_dir": runs.folder / "whole", "batch_seconds": 2.0, "device": "cpu"}
    arguments = [ROOT / "hparams" / "verify.yaml", *as_arguments(settings), "--precision", "fp32"]
    run_script("verify.py", [*arguments, "--output_dir", tmp_path / "one"])
    arguments += ["--output_dir", tmp_path / "two"]
    codes = runs.run_together("verify.py", arguments, tmp_path / "log")
    printed = (tmp_path / "log").read_text()
    assert codes == [0, 0], printed
    assert printed.count("Metrics:") == 1
    for name in ("scores.txt", "metrics.json"):
        assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()


def test_lists_and_kept_embeddings_are_shared_out(runs, expected, corpus, tmp_path):
    """One process embeds a list, two the rest of it and another."""
    lines = [f"1 {line}" for line in Path(corpus["valid_clients"]).read_text().splitlines()]
    lines += [f"0 {line}" for line in Path(corpus["valid_impostors"]).read_text().splitlines()]
    lists = [tmp_path / "some.txt", tmp_path / "all.txt"]
    for path, part in zip(lists, (lines[:1] + lines[-1:], lines), strict=True):
        path.write_text("".join(f"{line}\n" for line in part))
    settings = {"model_dir": runs.folder / "whole", "valid_data_dir": corpus["valid_data_dir"]}
    arguments = [ROOT / "hparams" / "verify.yaml", *as_arguments(settings), "--device", "cpu"]
    run_script("verify.py", [*arguments, "--trials", lists[1], "--output_dir", tmp_path / "one"])
    arguments += ["--keep_embeddings", True]
    run_script("verify.py", [*arguments, "--trials", lists[0], "--output_dir", tmp_path / "some"])
    arguments += ["--output_dir", tmp_path / "two", "--trials", *lists]
    for told in ("has 4 of 8", "has 8 of 8"):
        (tmp_path / "log").unlink(missing_ok=True)
        codes = runs.run_together("verify.py", arguments, tmp_path / "log")
        printed = (tmp_path / "log").read_text()
        assert codes == [0, 0] and told in printed and printed.count("Metrics:") == 1, printed
    scores = [read_scores(tmp_path / name / "scores.txt")[1] for name in ("one", "two/all")]
    np.testing.assert_allclose(*scores, atol=1e-5)


def test_embeddings_are_shared_out(runs, expected, corpus, tmp_path):
    (tmp_path / "noise.wav").write_bytes(b"no audio")
    settings = {"model_dir": runs.folder / "whole", "batch_seconds": 2.0, "device": "cpu"}
    arguments = [ROOT / "hparams" / "embed.yaml", "--files", corpus["valid_data_dir"]]
    arguments += [tmp_path / "noise.wav", *as_arguments(settings | {"alignment": True})]
    with pytest.raises(InputError, match="noise.wav can't be read as audio"):
        run_script("extract_embeddings.py", [*arguments, "--out", tmp_path / "one"])
    arguments += ["--out", tmp_path / "two"]
    codes = runs.run_together("extract_embeddings.py", arguments, tmp_path / "log")
    printed = (tmp_path / "log").read_text()
    assert codes == [1, 1] and "20 embeddings: " in printed
    assert printed.count("1 failed:") == 1 and "noise.wav can't be read as audio" in printed
    assert "[rank" not in printed  # nor a traceback of the other process
    for name in ("npz", "alignment.npz"):
        one, two = (np.load(tmp_path / f"{place}.{name}") for place in ("one", "two"))
        assert list(one) == list(two)
        assert all(np.array_equal(one[key], two[key]) for key in one)
