"""Score files of 10^4 to 10^7 lines, written and read."""

import csv
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from made_up import make_trials
from processes import apart
from tables import Row, Table
from timing import interleaved

from local.scoring.score_files import read_scores, write_scores

# VoxCeleb1 has as many.
NUM_UTTERANCES = 150_000
# The time of the others grows with the number of lines.
NUM_OTHER_LINES = 100_000
MIN_RATE = 1_000_000


def measure(options):
    """Beside Python's csv module, NumPy, and what read_scores does with an unusual file."""
    sizes = (1000, 10_000) if options.quick else (10_000, 100_000, 1_000_000, 10_000_000)
    num_other_lines = sizes[0] if options.quick else NUM_OTHER_LINES
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for num_lines in sizes:
            target = MIN_RATE if num_lines == 10_000_000 else None
            written, read = our_rows(folder / "scores.txt", num_lines, target)
            rows += [written, read]
        gigabytes = apart(memory, folder / "scores.txt", quick=options.quick)
        rows.append(Row("memory: read_scores", gigabytes, "GB"))
        rows += other_rows(folder, num_other_lines, written.figure, read.figure)
    note = (
        f"Up to {NUM_UTTERANCES:,} utterances. Memory is the peak over what the process had "
        f"before. The others have {num_other_lines:,} lines, and stand beside ours of "
        f"{sizes[-1]:,}. csv and NumPy check no field and number no names; NumPy takes 360 bytes "
        "a line."
    )
    return Table("Score files", rows, note)


def our_rows(path, num_lines, target):
    scored = made_up(num_lines)
    calls = {
        "write_scores": partial(write_scores, path, *scored),
        "read_scores": partial(read_scores, path),
    }
    times = interleaved(calls, rounds=3)
    return [
        rate(f"{num_lines:,} lines: {what}", time, num_lines, at_least=target)
        for what, time in times.items()
    ]


def other_rows(folder, num_lines, our_writing, our_reading):
    trials, scores = made_up(num_lines)
    path, windows_path = folder / "other.txt", folder / "windows.txt"
    write_scores(path, trials, scores)
    windows_path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    writing = {"csv.writer": partial(write_csv, folder / "csv.txt", trials, scores)}
    reading = {
        "read_scores, Windows line ends, hence line by line": partial(read_scores, windows_path),
        "csv.reader": partial(read_csv, path),
        "numpy.loadtxt": partial(read_numpy, path),
    }
    times = interleaved(writing | reading, rounds=3)
    return [
        rate(what, time, num_lines, our_writing if what in writing else our_reading)
        for what, time in times.items()
    ]


def rate(what, time, num_lines, ours=None, at_least=None):
    """A row of lines a second, beside the recipe's if that is given."""
    figure = num_lines / time.median
    row = partial(Row, what, figure, "lines a second", time.spread, ours and figure / ours)
    return row(f"at least {at_least:,}", figure >= at_least) if at_least else row()


def made_up(num_lines):
    """Trials at random, and scores."""
    num_utterances = min(NUM_UTTERANCES, num_lines)
    utterances = [f"id{i % 1251:05d}/video{i // 10:06d}/{i:05d}" for i in range(num_utterances)]
    rng = np.random.default_rng(0)
    first, step = rng.integers([[0], [1]], num_utterances, (2, num_lines))
    trials = make_trials(utterances, first, (first + step) % num_utterances)
    return trials, rng.standard_normal(num_lines, np.float32)


def memory(path):
    """How many GB reading takes, the result included."""
    before = peak_gigabytes()
    read_scores(path)
    return peak_gigabytes() - before


def peak_gigabytes():
    # Of this process alone: what getrusage says starts with the memory of its parent.
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e9


def write_csv(path, trials, scores):
    names = trials.utterances
    rows = zip(trials.enrol, trials.test, trials.is_client, scores, strict=True)
    with open(path, "w", newline="") as file:
        csv.writer(file, delimiter=" ", lineterminator="\n").writerows(
            (names[enrol], names[test], "target" if is_client else "nontarget", score)
            for enrol, test, is_client, score in rows
        )


def read_csv(path):
    with open(path, newline="") as file:
        rows = csv.reader(file, delimiter=" ")
        return [(enrol, test, label, float(score)) for enrol, test, label, score in rows]


def read_numpy(path):
    columns = [("enrol", "U40"), ("test", "U40"), ("label", "U9"), ("score", np.float32)]
    return np.loadtxt(path, columns, delimiter=" ", comments=None)
