"""That the benchmarks run and say what they should; how fast anything is, is not tested."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.tables import Row, Table, against, compared
from benchmarks.timing import Times, interleaved

RUN = Path(__file__).parent / "benchmarks" / "run.py"
SUBJECTS = ("checkpoints", "chunk_reading", "classifier", "evaluation", "log_mel", "metrics")
SUBJECTS += (
    "embeddings",
    "feature_script",
    "packed_audio",
    "preparation",
    "score_files",
    "score_norm",
    "scoring",
    "sharing",
    "startup",
    "training",
    "validation",
)


def run(*arguments):
    return subprocess.run([sys.executable, RUN, *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """The folder and the process of a run of each half of the subjects, at the same time."""
    started = []
    for subjects in (SUBJECTS[::2], SUBJECTS[1::2]):
        folder = tmp_path_factory.mktemp("out")
        command = [sys.executable, RUN, "--quick", "--out_dir", folder, *subjects]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append((folder, len(subjects), subprocess.Popen(command, **pipes)))
    return started


@pytest.mark.parametrize("half", [0, 1])
def test_every_subject_runs_on_small_sizes(halves, half):
    folder, num_subjects, process = halves[half]
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    tables = json.loads((folder / "benchmarks.json").read_text())["tables"]
    assert len(tables) == num_subjects
    markdown = (folder / "benchmarks.md").read_text()
    for table in tables:
        assert table["title"] in printed and f"## {table['title']}" in markdown
        assert len(table["rows"]) > 1
        assert all(row["figure"] > 0 for row in table["rows"])


def test_training_on_a_gpu_is_measured_by_code_that_runs():
    """On the CPU, where there is no GPU."""
    code = (
        "from argparse import Namespace\n"
        "from subjects.training import measure_gpu\n"
        "table = measure_gpu(Namespace(device='cpu', quick=True))\n"
        "print(len(table.rows))"
    )
    paths = os.pathsep.join(map(str, (RUN.parent, RUN.parents[2])))
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[-1] == "4"


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
