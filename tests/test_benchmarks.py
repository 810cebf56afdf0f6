"""That the benchmarks run and say what they should; how fast anything is, is not tested."""

import importlib
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from benchmarks.tables import Row, Table, against, compared
from benchmarks.timing import Times, interleaved

RUN = Path(__file__).parent / "benchmarks" / "run.py"
# All but `accuracy` and `export`, which need real speech, and `gpu_compile`, which takes minutes.
SUBJECTS = """
    augmentation checkpoints chunk_reading classifier embeddings evaluation front_ends log_mel
    feature_script gpu_training host_waits kernels
    metrics packed_audio preparation score_files score_norm scoring sharing startup training
    trial_lists validation
""".split()


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Measures a subject on small sizes, in this process; returns its table."""
    monkeypatch.syspath_prepend(RUN.parent)
    options = Namespace(device="cpu", quick=True, out_dir=tmp_path, data_dir=None)

    def call(subject):
        return importlib.import_module(f"subjects.{subject}").measure(options)

    return call


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_runs_on_small_sizes(quick, subject):
    table = quick(subject)
    assert len(table.rows) > 1
    # The memory of something small may be nothing more than the process had before.
    assert all(row.figure > 0 or row.unit == "GB" for row in table.rows)


def run(*arguments):
    return subprocess.run([sys.executable, RUN, *arguments], capture_output=True, text=True)


def test_tables_are_printed_and_written(tmp_path):
    result = run("--quick", "--out_dir", tmp_path, "scoring", "score_files")
    assert result.returncode == 0, result.stderr
    tables = json.loads((tmp_path / "benchmarks.json").read_text())["tables"]
    assert len(tables) == 2
    markdown = (tmp_path / "benchmarks.md").read_text()
    for table in tables:
        assert table["title"] in result.stdout and f"## {table['title']}" in markdown


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["speed"], "no such subject: speed"),
        (["accuracy"], "--data_dir"),
        (["accuracy", "--data_dir", "nowhere"], "nowhere has no train_labels.txt"),
    ],
)
def test_wrong_arguments(arguments, message):
    result = run(*arguments)
    assert result.returncode == 2 and message in result.stderr


def test_calls_take_turns():
    calls = []
    noting = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = interleaved(noting, rounds=2, at_once=2)
    assert calls == ["a", "a", "b", "b"] * 3
    assert set(times) == {"a", "b"} and times["a"].median >= 0


def test_rows_beside_the_recipe():
    times = {"ours": Times(2.0, 0.1), "theirs": Times(5.0, 0.2), "limit": Times(1.0, 0.0)}
    ours, theirs, limit = compared(times, {"theirs": 3, "limit": 0.5})
    assert ours.cells() == ("ours", "2 s", "10 %", "1.00", "")
    assert theirs.cells() == ("theirs", "5 s", "20 %", "2.50", "at least 3: missed")
    assert limit.cells()[3:] == ("0.50", "at least 0.5: met")
    assert against("loop", 1000.0, None, 2.0).cells() == ("loop", "1,000 s", "", "500", "")


def test_tables_as_text_and_markdown():
    table = Table("Title", [Row("memory", 1.5, "GB"), Row("a", 0.0123), Row("b", 2e-6)], "Note.")
    assert table.text().splitlines()[:2] == ["Title", "Note."]
    assert "12.3 ms" in table.text() and "2 us" in table.text()
    assert table.markdown().splitlines()[-3:] == [
        "| memory | 1.5 GB |  |  |  |",
        "| a | 12.3 ms |  |  |  |",
        "| b | 2 us |  |  |  |",
    ]


@pytest.fixture
def gpu(monkeypatch):
    """tests/benchmarks/gpu.py, as a module."""
    monkeypatch.syspath_prepend(RUN.parent)
    return importlib.import_module("gpu")


def run_parts(gpu, path, scripts, seconds=20.0):
    """Runs parts that are Python code; returns what is written."""
    parts = [
        gpu.Part(name, seconds, [sys.executable, "-c", code]) for name, code in scripts.items()
    ]
    gpu.run_all("cpu", parts, {"machine": "here", "parts": []}, path)
    return json.loads(path.read_text())


def test_parts_that_fail_do_not_stop_the_others(gpu, tmp_path, capsys):
    scripts = {"wrong": "print('before'); 1 / 0", "right": "print('after')"}
    results = run_parts(gpu, tmp_path / "gpu.json", scripts)
    wrong, right = results["parts"]
    assert wrong["became"] == "failed (1)" and right["became"] == "done"
    assert wrong["printed"][0] == "before" and "ZeroDivisionError" in wrong["printed"][-1]
    printed = capsys.readouterr().out
    assert "== right\nafter" in printed and "ZeroDivisionError" in printed
    text = gpu.summary(results).text()
    assert "Measured on here" in text and "failed (1)" in text


def test_parts_have_an_end_and_take_their_processes_along(gpu, tmp_path):
    child = "import time; time.sleep(60)"
    hanging = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    hanging = f"print('begun', flush=True); {hanging}"
    results = run_parts(gpu, tmp_path / "gpu.json", {"hanging": hanging}, seconds=2.0)
    (part,) = results["parts"]
    assert part["became"] == "stopped after 2 s" and part["seconds"] < 30
    assert part["printed"] == ["begun"]


def test_all_parts_together_end_in_time(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "MOST_SECONDS", 0.0)
    hanging = "import time; time.sleep(60)"
    results = run_parts(gpu, tmp_path / "gpu.json", {"first": hanging, "second": hanging}, 60.0)
    assert [part["became"] for part in results["parts"]] == ["stopped after 1 s"] * 2
    parts = list(gpu.parts("cuda", False, tmp_path))
    assert sum(part.seconds for part in parts[1:]) < 600 and parts[0].name == gpu.TESTS


def test_figures_of_a_part_are_kept(gpu, tmp_path):
    path = tmp_path / "benchmarks.json"
    write = f"import pathlib; pathlib.Path({str(path)!r}).write_text('{{\"tables\": [7]}}'); 1 / 0"
    part = gpu.Part("step", 20.0, [sys.executable, "-c", write, "--out_dir", str(tmp_path)])
    gpu.run_all("cpu", [part], {"machine": "here", "parts": []}, tmp_path / "gpu.json")
    (found,) = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert found["became"] == "failed (1)" and found["tables"] == [7]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_there_is_one_line(gpu, tmp_path):
    command = [sys.executable, gpu.__file__, "--out_dir", tmp_path]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and "no GPU that torch" in result.stderr
    assert list(tmp_path.iterdir()) == []
