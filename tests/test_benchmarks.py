"""That the benchmarks run and say what they should; how fast anything is, is not tested."""

import importlib
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from benchmarks.tables import Row, Table, against, compared
from benchmarks.timing import Times, interleaved

RUN = Path(__file__).parent / "benchmarks" / "run.py"
# All but `accuracy` and `export`, which need real speech.
SUBJECTS = """
    augmentation checkpoints chunk_reading classifier embeddings evaluation front_ends log_mel
    feature_script
    metrics packed_audio preparation score_files score_norm scoring sharing startup training
    trial_lists validation
""".split()


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Measures a subject on small sizes, in this process; returns its table."""
    monkeypatch.syspath_prepend(RUN.parent)
    options = Namespace(device="cpu", quick=True, out_dir=tmp_path, data_dir=None)

    def call(subject, measure="measure"):
        return getattr(importlib.import_module(f"subjects.{subject}"), measure)(options)

    return call


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_runs_on_small_sizes(quick, subject):
    table = quick(subject)
    assert len(table.rows) > 1
    # The memory of something small may be nothing more than the process had before.
    assert all(row.figure > 0 or row.unit == "GB" for row in table.rows)


def test_training_on_a_gpu_is_measured_by_code_that_runs(quick):
    """On the CPU, where there is no GPU."""
    assert len(quick("training", "measure_gpu").rows) == 4


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
