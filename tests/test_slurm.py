"""The example for Slurm, with stand-ins for its commands (srun, scontrol)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from corpora import write_corpus
from runs import Runs

ROOT = Path(__file__).resolve().parents[1]
STAND_INS = {
    # It runs the command, on this machine, and ends by no signal that it passes on.
    "srun": """
        while [[ $1 == --* ]]; do shift; done
        "$@" & child=$!
        trap 'kill -USR1 $child' USR1
        trap 'kill -TERM $child' TERM
        while kill -0 $child 2>/dev/null; do wait $child; done
        wait $child
    """,
    "scontrol": """
        [[ $1 == show ]] && echo localhost && exit
        echo "$@" >> "$FOLDER/scontrol.txt"
        kill -TERM $PPID
    """,
}


class Job:
    """sbatch slurm/train.sbatch, as Slurm would start it."""

    def __init__(self, folder, runs):
        self.folder = folder
        self.runs = runs
        for name, body in STAND_INS.items():
            path = folder / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/usr/bin/env bash\n{body}")
            path.chmod(0o755)

    def start(self, **changes):
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "FOLDER": str(self.folder),
            "PYTHON": sys.executable,
            "NUM_PROCESSES": "2",
            "SLURM_JOB_ID": "1",
            "SLURM_JOB_NODELIST": "localhost",
            "SLURM_NNODES": "1",
            "SLURM_NODEID": "0",
            "SLURM_SUBMIT_DIR": str(ROOT),
        }
        arguments = self.runs.arguments("run", **changes)
        with open(self.runs.folder / "run.log", "a") as output:
            return subprocess.Popen(
                ["bash", str(ROOT / "slurm" / "train.sbatch"), *arguments],
                env=os.environ | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def printed(self):
        return self.runs.printed("run")

    def requeued(self):
        path = self.folder / "scontrol.txt"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path, Runs(write_corpus(tmp_path / "corpus"), tmp_path))


def test_job_that_is_warned_starts_again_and_goes_on(job):
    changes = {"validate_every": 150, "number_of_epochs": 1, "ckpt_interval_steps": 0}
    process = job.start(**changes)
    job.runs.wait_for("run", "Going into epoch 1")
    process.send_signal(signal.SIGUSR1)
    process.wait(60)
    assert "training ended with status 75" in job.printed()
    assert job.requeued() == "requeue 1\n"
    assert job.start(**changes).wait(60) == 0, job.printed()
    assert "Going on after" in job.printed()
    assert "updates: 150," in job.runs.log("run") and job.requeued() == "requeue 1\n"


def test_job_that_is_cancelled_makes_a_checkpoint_and_ends(job):
    process = job.start(validate_every=3000, ckpt_interval_steps=0)
    job.runs.wait_for("run", "Going into epoch 1")
    process.send_signal(signal.SIGTERM)
    # Slurm sends it to the processes of the job, too.
    subprocess.run(["pkill", "-TERM", "-f", f"node.sh.*{job.folder}"], check=True)
    assert process.wait(60) != 0
    assert "Stopped in epoch 1 after" in job.printed() and not job.requeued()


def test_failure_does_not_start_again(job):
    assert job.start(width=7).wait(60) == 1
    assert "multiple of 8" in job.printed() and not job.requeued()
