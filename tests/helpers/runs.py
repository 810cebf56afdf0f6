"""Runs of one training in several directories, and what they end with."""

import tempfile
import time
from pathlib import Path

import torch
from corpora import TINY, as_arguments
from steered import free_port, start

from local.training.checkpoints import WholeCheckpointer

ROOT = Path(__file__).resolve().parents[2]
# Two epochs of six updates, of two batches each; a checkpoint after every second update.
SETTINGS = TINY | {
    "head_drop": 0.5,
    "grad_accumulation_factor": 2,
    "number_of_epochs": 2,
    "validate_every": 6,
    "valid_loader": {"batch_seconds": 3.0},
    "ckpt_interval_steps": 4,
}


def run_apart(script_name, arguments, folder):
    """A script of recipes/ in a process that works in a folder: its exit code, what it printed."""
    with tempfile.TemporaryDirectory() as name:
        output = Path(name) / "printed.txt"
        arguments = list(map(str, arguments))
        process = start(arguments, output=output, script_name=script_name, folder=folder)
        process.join(120)
        return process.exitcode, output.read_text()


class Runs:
    """Trains on a corpus of `corpora`, each time in another directory of a folder."""

    def __init__(self, corpus, folder, **settings):
        self.settings = SETTINGS | corpus | settings
        self.folder = folder

    def arguments(self, name, **changes):
        settings = self.settings | changes | {"out_dir": self.folder / name}
        return [str(ROOT / "hparams" / "vgg.yaml"), "--noprogressbar", *as_arguments(settings)]

    def start(self, name, *steer, **changes):
        plan = {"steer": steer} if steer else {}
        return start(self.arguments(name, **changes), plan, self.folder / f"{name}.log")

    def train(self, name, *steer, **changes):
        """Runs to the end; returns the exit code."""
        process = self.start(name, *steer, **changes)
        process.join(60)
        return process.exitcode

    def start_together(self, name, *steer, num_processes=2, plan=None, **changes):
        plan = (plan or {}) | ({"steer": steer} if steer else {})
        arguments, port = self.arguments(name, **changes), free_port()
        return [
            start(arguments, plan, self.folder / f"{name}.log", rank, num_processes, port)
            for rank in range(num_processes)
        ]

    def train_together(self, name, *steer, **options):
        """The same in several processes; returns their exit codes."""
        started = self.start_together(name, *steer, **options)
        for process in started:
            process.join(60)
        return [process.exitcode for process in started]

    def run_together(self, script_name, arguments, output):
        """Another script in two processes; returns their exit codes."""
        arguments, port = list(map(str, arguments)), free_port()
        started = [
            start(arguments, None, output, rank, 2, port, script_name=script_name)
            for rank in range(2)
        ]
        for process in started:
            process.join(60)
        return [process.exitcode for process in started]

    def printed(self, name):
        path = self.folder / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def wait_for(self, name, text):
        """Until a run has printed a text."""
        deadline = time.monotonic() + 90
        while text not in self.printed(name):
            assert time.monotonic() < deadline, self.printed(name)
            time.sleep(0.05)

    def log(self, name):
        return (self.folder / name / "train_log.txt").read_text()

    def result(self, name):
        """Train log; weights, average and optimizer of the newest checkpoint; best models."""
        out_dir = self.folder / name
        files = WholeCheckpointer(out_dir / "save").find_checkpoint().paramfiles
        states = [torch.load(files[key]) for key in ("extractor", "classifier", "average")]
        states += torch.load(files["optimizer"])["state"].values()
        models = {path.name: torch.load(path)["extractor"] for path in out_dir.glob("model_*.pt")}
        return self.log(name), states, models


def assert_same(result, expected):
    """Bit by bit."""
    assert result[0] == expected[0] and result[2].keys() == expected[2].keys()
    torch.testing.assert_close(result[1:], expected[1:], rtol=0, atol=0)
