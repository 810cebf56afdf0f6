"""The example for Slurm, with stand-ins for Slurm's commands (srun, scontrol) and for training.

What training itself does with signals is tested in tests/training.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAND_INS = {
    # Runs the command on this machine, and passes signals on without ending by them.
    "bin/srun": """#!/usr/bin/env bash
        while [[ $1 == --* ]]; do shift; done
        "$@" & child=$!
        trap 'kill -USR1 $child' USR1
        trap 'kill -TERM $child' TERM
        while kill -0 $child 2>/dev/null; do wait $child; done
        wait $child
    """,
    "bin/scontrol": """#!/usr/bin/env bash
        [[ $1 == show ]] && echo localhost && exit
        echo "$@" >> "$FOLDER/scontrol.txt"
        kill -TERM $PPID
    """,
    # Goes on until a signal stops it, or ends where there is a checkpoint.
    "recipes/train_vgg.py": """
import os, sys, time
from pathlib import Path
from local.machine.signals import StopSignals

if "--wrong" in sys.argv:
    sys.exit("a wrong setting")
checkpoint = Path(f"checkpoint{os.environ['RANK']}")
if checkpoint.exists():
    sys.exit()
with StopSignals() as signals:
    Path(f"started{os.environ['RANK']}").touch()
    while not signals.caught:
        time.sleep(0.02)
checkpoint.touch()
sys.exit(os.EX_TEMPFAIL)
""",
    "bin/sbatch": """#!/usr/bin/env bash
        echo "$@" > "$FOLDER/sbatch.txt"
    """,
    # Three trainings, each of which goes on until a signal stops it.
    "recipes/ablate.py": """
import os, sys, time
from pathlib import Path
from local.machine.signals import StopSignals

if "--wrong" in sys.argv:
    sys.exit("a wrong setting")
if "--list" in sys.argv:
    sys.exit(print("# a, seed 1\\ntrain\\n# a, seed 2\\ntrain\\n# b, seed 1\\ntrain"))
with StopSignals() as signals:
    Path("task" + sys.argv[sys.argv.index("--task") + 1]).touch()
    while not signals.caught:
        time.sleep(0.02)
sys.exit(os.EX_TEMPFAIL)
""",
}


class Job:
    """sbatch slurm/train.sbatch, as Slurm would start it, with two processes."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "slurm").symlink_to(ROOT / "slurm")
        for name, text in STAND_INS.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)

    def start(self, *arguments, script="train", **variables):
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "FOLDER": str(self.folder),
            "PYTHON": sys.executable,
            "NUM_PROCESSES": "2",
            "SLURM_JOB_ID": str(os.getpid()),  # the port follows from it
            "SLURM_JOB_NODELIST": "localhost",
            "SLURM_NNODES": "1",
            "SLURM_NODEID": "0",
            "SLURM_SUBMIT_DIR": str(self.folder),
        }
        script = ROOT / "slurm" / f"{script}.sbatch"
        command = ["bash", script, "--out_dir", self.folder, *arguments]
        with open(self.folder / "run.log", "a") as output:
            return subprocess.Popen(
                command,
                env=os.environ | environment | variables,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def start_and_wait_until_it_trains(self):
        process = self.start()
        until = time.monotonic() + 120
        while len(list(self.folder.glob("started*"))) < 2:
            assert time.monotonic() < until and process.poll() is None, self.printed()
            time.sleep(0.02)
        return process

    def printed(self):
        return (self.folder / "run.log").read_text()

    def num_checkpoints(self):
        return len(list(self.folder.glob("checkpoint*")))

    def is_requeued(self):
        path = self.folder / "scontrol.txt"
        return path.exists() and path.read_text().startswith("requeue ")


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)


def test_job_that_is_warned_starts_again_and_goes_on(job):
    process = job.start_and_wait_until_it_trains()
    process.send_signal(signal.SIGUSR1)
    process.wait(60)
    assert "training ended with status 75" in job.printed()
    assert (job.folder / "scontrol.txt").read_text() == f"requeue {os.getpid()}\n"
    assert job.num_checkpoints() == 2
    assert job.start().wait(120) == 0, job.printed()


def test_job_that_is_cancelled_makes_a_checkpoint_and_ends(job):
    process = job.start_and_wait_until_it_trains()
    process.send_signal(signal.SIGTERM)
    # Slurm sends it to the processes of the job, too.
    subprocess.run(["pkill", "-TERM", "-f", f"node.sh.*{job.folder}"], check=True)
    assert process.wait(60) != 0
    assert job.num_checkpoints() == 2 and not job.is_requeued()


def test_failure_does_not_start_again(job):
    assert job.start("--wrong").wait(120) == 1
    assert "a wrong setting" in job.printed() and not job.is_requeued()


def test_ablation_becomes_an_array_of_its_trainings(job):
    assert job.start("--x", script="ablate").wait(60) == 0, job.printed()
    submitted = (job.folder / "sbatch.txt").read_text()
    assert submitted == f"--array=0-2 slurm/ablate.sbatch --out_dir {job.folder} --x\n"


def test_ablation_with_a_mistake_is_not_submitted(job):
    assert job.start("--wrong", script="ablate").wait(60) == 1
    assert "a wrong setting" in job.printed() and not (job.folder / "sbatch.txt").exists()


@pytest.mark.parametrize("number, is_requeued", [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_task_of_an_ablation_that_is_stopped(job, number, is_requeued):
    array = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}
    process = job.start(script="ablate", **array)
    until = time.monotonic() + 60
    while not (job.folder / "task2").exists():
        assert time.monotonic() < until and process.poll() is None, job.printed()
        time.sleep(0.02)
    process.send_signal(number)
    process.wait(60)
    assert job.is_requeued() == is_requeued
    if is_requeued:
        assert (job.folder / "scontrol.txt").read_text() == "requeue 7_2\n"
