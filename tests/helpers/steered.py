"""Training runs of which a test says where they end: in processes of their own.

As a script, for torchrun: python tests/helpers/steered.py PLAN arguments of recipes/train_vgg.py
"""

import json
import multiprocessing
import os
import runpy
import signal
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

# What a training would import, once for all processes.
import speechbrain.augment.freq_domain  # noqa: E402, F401
import speechbrain.utils.logger  # noqa: E402
import torch  # noqa: E402
import torch._dynamo  # noqa: E402, F401
import torch.utils.tensorboard  # noqa: E402, F401
from speechbrain.utils.epoch_loop import EpochCounter  # noqa: E402

from local import command_line  # noqa: E402
from local.embeddings import embed as embedding  # noqa: E402
from local.features.log_mel import LogMel  # noqa: E402
from local.machine import processes  # noqa: E402
from local.model_files import model_dir  # noqa: E402
from local.training import checkpoints  # noqa: E402
from local.training.selecting_brain import SelectingBrain  # noqa: E402
from local.training.train_log import TrainLog  # noqa: E402

runpy.run_path(str(ROOT / "recipes" / "train_vgg.py"))
PLACES = {
    "step": ("SpeakerBrain", "fit_batch"),
    "log": (TrainLog, "log"),
    "best": (SelectingBrain, "_save_best"),
    "epoch": (EpochCounter, "__next__"),
    "validation": (embedding, "embed_batch"),
    "writing": (torch, "save"),
    "digests": (checkpoints, "_write_digests"),
    "named": (checkpoints, "flush_to_disk"),
    "clearing": (checkpoints.shutil, "rmtree"),
    "weights": (model_dir, "save_weights"),
}


def steer(script, place, count, action, rank="0"):
    """Has a function take an action in its count-th call, in one of the processes."""
    if os.environ.get("RANK", "0") != rank:
        return
    owner, name = PLACES[place]
    owner = script[owner] if isinstance(owner, str) else owner
    function = getattr(owner, name)
    calls = []

    def steered(*arguments, **keywords):
        calls.append(place)
        if len(calls) == count:
            if place == "writing":  # half of the file
                function(*arguments, **keywords)
                file = arguments[1]
                path = file.name if hasattr(file, "fileno") else file
                os.truncate(path, os.path.getsize(path) // 2)
            if action == "fail":
                raise ZeroDivisionError("a mistake in the recipe")
            if action == "exceed":
                torch.empty(2**60, dtype=torch.uint8)  # more memory than there can be
            os.kill(os.getpid(), signal.Signals[action])
        return function(*arguments, **keywords)

    setattr(owner, name, steered)


def record(script, path):
    """Appends the loss of each step to a file, and between the steps of an update the gradients."""
    brain = script["SpeakerBrain"]
    queue_step = brain.queue_step

    def recording(self, batch):
        numbers = queue_step(self, batch)
        grad = next(self.modules.classifier.parameters()).grad
        line = {"loss": numbers[0].item(), "grad": None if grad is None else grad.sum().item()}
        line["seed"] = torch.initial_seed()
        with open(f"{path}.{processes.rank()}", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return numbers

    brain.queue_step = recording


def in_float64(script):
    """Has the network compute in float64: what is left is no matter of rounding."""
    torch.set_default_dtype(torch.float64)
    forward = LogMel.forward

    def wide(self, *inputs):
        features, num_frames = forward(self, *inputs)
        return features.double(), num_frames

    LogMel.forward = wide


def run(script_name, arguments, plan):
    """Runs a script of recipes/ with a plan.

    Its keys: record, a path; steer, [place, count, action, rank]; float64, whether to compute in
    it; no_batch_norm, whether the embedding's is left out.
    """
    torch.set_num_threads(1)
    speechbrain.utils.logger.get_environment_description = str  # it asks pip for the packages
    path = str(ROOT / "recipes" / script_name)
    script = runpy.run_path(path)
    if "steer" in plan:
        steer(script, *plan["steer"])
    if plan.get("no_batch_norm"):
        torch.nn.BatchNorm1d = lambda size: torch.nn.Identity()
    if plan.get("float64"):
        in_float64(script)
    if "record" in plan:
        record(script, plan["record"])
    sys.argv = [path, *arguments]
    command_line.run(script["main"])


def forkserver():
    """The context of processes that are forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    os.environ["PYTHONPATH"] = str(ROOT / "tests" / "helpers")
    context.set_forkserver_preload(["steered"])
    return context


def start(
    arguments,
    plan=None,
    output=os.devnull,
    rank=None,
    num_processes=1,
    port=None,
    script_name="train_vgg.py",
    folder=None,
):
    """Starts a script in a process of the forkserver, with a folder to work in.

    With a rank it is one of several, whose first listens on the port.
    """
    environment = {}
    if rank is not None:
        places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num_processes}
        places |= {"LOCAL_WORLD_SIZE": num_processes, "MASTER_PORT": port}
        environment = {key: str(value) for key, value in places.items()}
        environment["MASTER_ADDR"] = "127.0.0.1"
    arguments = (script_name, arguments, plan or {}, str(output), environment, folder)
    process = forkserver().Process(target=_run_apart, args=arguments)
    process.start()
    return process


def _run_apart(script_name, arguments, plan, output, environment, folder):
    with open(output, "a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ |= environment
    if folder:
        os.chdir(folder)
    # Of the data loader's workers; a child takes over the method that it was started by.
    multiprocessing.set_start_method("fork", force=True)
    run(script_name, arguments, plan)


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    run("train_vgg.py", sys.argv[2:], json.loads(sys.argv[1]))
