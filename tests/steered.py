"""Training runs of which a test says where they end: in processes of their own.

As a script, for torchrun: python tests/steered.py PLAN arguments of recipes/train_vgg.py
"""

import json
import multiprocessing
import os
import runpy
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import speechbrain  # noqa: E402
import torch  # noqa: E402
import torch._dynamo  # noqa: E402, F401  # an optimizer does, which takes a second
from speechbrain.utils.epoch_loop import EpochCounter  # noqa: E402

from local import checkpoints, command_line, embedding, model_dir  # noqa: E402

TRAIN = str(ROOT / "recipes" / "train_vgg.py")
PLACES = {
    "step": ("SpeakerBrain", "fit_batch"),
    "log": ("SpeakerBrain", "_log"),
    "best": ("SpeakerBrain", "_save_best"),
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
                os.truncate(arguments[1], os.path.getsize(arguments[1]) // 2)
            if action == "fail":
                raise ZeroDivisionError("a mistake in the recipe")
            os.kill(os.getpid(), signal.Signals[action])
        return function(*arguments, **keywords)

    setattr(owner, name, steered)


def record_losses(script, path):
    """Appends the loss of each step to a file."""
    brain = script["SpeakerBrain"]
    fit_batch = brain.fit_batch

    def recording(self, batch):
        loss = fit_batch(self, batch)
        if os.environ.get("RANK", "0") == "0":
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{loss.item()!r}\n")
        return loss

    brain.fit_batch = recording


def train(arguments, plan):
    """Runs training with a plan: {"losses": PATH, "steer": [place, count, action, rank]}."""
    torch.set_num_threads(1)
    speechbrain.core.sb.utils.logger.get_environment_description = str  # asks pip for its packages
    script = runpy.run_path(TRAIN)
    if "steer" in plan:
        steer(script, *plan["steer"])
    if "losses" in plan:
        record_losses(script, plan["losses"])
    sys.argv = [TRAIN, *arguments]
    command_line.run(script["main"])


def start(arguments, plan=None, output=os.devnull):
    """Starts training in a process forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    os.environ["PYTHONPATH"] = str(ROOT / "tests")
    context.set_forkserver_preload(["steered"])
    process = context.Process(target=_train_quietly, args=(arguments, plan or {}, str(output)))
    process.start()
    del os.environ["PYTHONPATH"]
    return process


def _train_quietly(arguments, plan, output):
    with open(output, "a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    # Of the data loader's workers; a child takes over the method that it was started by.
    multiprocessing.set_start_method("fork", force=True)
    train(arguments, plan)


if __name__ == "__main__":
    train(sys.argv[2:], json.loads(sys.argv[1]))
