"""Commands side by side: order, shares of the machine, failures, signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.ablation import jobs
from local.ablation.jobs import Job, environments, run_jobs
from local.machine.signals import StopSignals

ROOT = Path(__file__).resolve().parents[2]


def job(folder, name, *scripts):
    """A job of shell scripts, which run in the folder."""
    commands = [["bash", "-c", f"cd {folder}; {script}"] for script in scripts]
    return Job(name, commands, folder / f"{name}.txt")


def run(jobs_, num_slots, signals=None):
    """Runs jobs; returns task -> exit status, and the most that ran at once."""
    ended, most = {}, [0]

    def look(going):
        most[0] = max(most[0], len(going))

    slots = [{"SLOT": str(number)} for number in range(num_slots)]
    with signals or StopSignals() as signals:
        run_jobs(
            jobs_, slots, signals, look, lambda job, code, going: ended.update({job.task: code})
        )
    return ended, most[0]


def test_two_at_once_each_with_a_slot_of_its_own(tmp_path):
    # Each waits for the other.
    wait = "touch {0}; for i in $(seq 200); do [[ -e {1} ]] && break; sleep 0.05; done; echo $SLOT"
    both = [job(tmp_path, "a", wait.format("a", "b")), job(tmp_path, "b", wait.format("b", "a"))]
    ended, most = run([*both, job(tmp_path, "c", "echo $SLOT")], num_slots=2)
    assert ended == {"a": 0, "b": 0, "c": 0} and most == 2
    assert {(tmp_path / f"{name}.txt").read_text() for name in "ab"} == {"0\n", "1\n"}


def test_a_job_ends_at_the_command_that_fails_and_the_others_go_on(tmp_path):
    failing = job(tmp_path, "a", "echo one", "echo two; exit 3", "echo three")
    ended, _ = run([failing, job(tmp_path, "b", "echo one", "echo two")], num_slots=1)
    assert ended == {"a": 3, "b": 0}
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text() == "one\ntwo\n"


def test_a_signal_is_handed_on_and_nothing_else_begins(tmp_path):
    asks = "trap 'touch stopped; exit 75' TERM; kill -USR1 %d; while :; do sleep 0.05; done"
    asks %= os.getpid()
    signals = StopSignals()
    ended, _ = run(
        [job(tmp_path, "a", asks, "touch next"), job(tmp_path, "b", "touch next")], 1, signals
    )
    assert ended == {"a": 75} and signals.caught == signal.SIGUSR1
    assert (tmp_path / "stopped").exists() and not (tmp_path / "next").exists()


def test_a_command_ends_with_the_ablation_that_was_killed(tmp_path):
    text = f"""
import sys; sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]
from pathlib import Path
import test_jobs
folder = Path({str(tmp_path)!r})
test_jobs.run([test_jobs.job(folder, "a", "echo $$ > pid.new; mv pid.new pid; sleep 60")], 1)
"""
    process = subprocess.Popen([sys.executable, "-c", text])
    until = time.monotonic() + 60
    while not (tmp_path / "pid").exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    process.kill()
    process.wait()
    child = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    while child.exists() and child.read_text().split()[2] != "Z":
        assert time.monotonic() < until
        time.sleep(0.05)


def test_cores_are_shared_out_among_the_jobs(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)))
    monkeypatch.setattr(jobs, "_gpus", lambda: [])
    assert environments(3, 30) == [{"OMP_NUM_THREADS": "4"}] * 3
    assert environments(None, 30) == [{"OMP_NUM_THREADS": "1"}] * 8
    assert environments(None, 2) == environments(6, 2) == [{"OMP_NUM_THREADS": "6"}] * 2
    assert environments(50, 60)[0] == {"OMP_NUM_THREADS": "1"}
    assert environments(None, 0)


def test_each_job_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(jobs, "_gpus", lambda: ["2", "3"])
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in environments(None, 9)] == ["2", "3"]
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in environments(3, 9)] == ["2", "3", "2"]
    assert "CUDA_VISIBLE_DEVICES" not in environments(None, 9, "cpu")[0]
    assert len(environments(None, 9, "cuda:1")) == 1


@pytest.mark.parametrize("allowed, expected", [("2, 3,5", ["2", "3"]), (None, ["0", "1"])])
def test_the_gpus_that_may_be_used(monkeypatch, allowed, expected):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if allowed:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert jobs._gpus() == expected
