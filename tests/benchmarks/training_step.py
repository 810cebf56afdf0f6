#!/usr/bin/env python3
"""What a training step of hparams/vgg.yaml is made of, and what the faster settings save.

    python tests/benchmarks/training_step.py [--steps 10] [--key value of vgg.yaml ...]

Medians over interleaved steps, on noise in WAV files; the share is of the whole step.
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np
import soundfile
from speechbrain.utils.autocast import AMPConfig, TorchAutocast

from local import command_line, preparation, runtime
from local.training_data import training_loader

NUM_SPEAKERS = 16
NUM_UTTERANCES = 8


def write_corpus(folder):
    """WAV files of 3 s of noise, and lists; the settings of vgg.yaml for them."""
    rng = np.random.default_rng(0)
    names = [f"s{s}/{u}" for s in range(NUM_SPEAKERS) for u in range(NUM_UTTERANCES)]
    for name in names:
        path = folder / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, rng.integers(-3000, 3000, 48000).astype(np.int16), 16000)
    labels = "".join(f"{name} {name.split('/')[0][1:]} -1\n" for name in names)
    (folder / "labels.txt").write_text(labels)
    (folder / "clients.txt").write_text("s0/0 s0/1\n")
    (folder / "impostors.txt").write_text("s0/0 s1/1\n")
    lists = {"train_labels_path": "labels", "valid_clients": "clients"}
    lists["valid_impostors"] = "impostors"
    settings = {key: str(folder / f"{value}.txt") for key, value in lists.items()}
    return settings | {"train_data_dir": str(folder), "valid_data_dir": str(folder)}


class Step:
    """A training step in its parts."""

    def __init__(self, hparams, num_speakers, precision):
        self.hparams = hparams
        self.features = hparams["features"]
        self.extractor = hparams["extractor"].train()
        self.classifier = hparams["classifier"](num_speakers=num_speakers)
        parameters = [*self.extractor.parameters(), *self.classifier.parameters()]
        self.optimizer = hparams["opt_class"](parameters)
        dtype = AMPConfig.from_name(precision).dtype
        self.autocast = TorchAutocast(device_type="cpu", dtype=dtype)

    def network(self, features, labels):
        """Forward, backward and update."""
        with self.autocast:
            cosines = self.classifier(self.extractor(features))
            loss = self.hparams["loss"](cosines, labels)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def timed(self, batches):
        """Seconds of loading, features and network."""
        marks = [time.perf_counter()]
        batch = next(batches)
        marks.append(time.perf_counter())
        features = self.hparams["feature_masking"](self.features(batch.waveforms)[0])
        marks.append(time.perf_counter())
        self.network(features, batch.labels)
        marks.append(time.perf_counter())
        return np.diff(marks)


def endless(loader):
    while True:
        yield from loader


def load(arguments, folder):
    """hparams and training manifest, with the given settings."""
    settings = write_corpus(folder) | {"out_dir": str(folder / "out")}
    pairs = [part for key, value in settings.items() for part in (f"--{key}", value)]
    yaml_path = str(ROOT / "hparams" / "vgg.yaml")
    _, hparams, _, _ = command_line.load_hparams([yaml_path, *pairs, *arguments])
    data = {name: hparams[name] for name in preparation.SETTINGS}
    return hparams, preparation.prepare(**data, progress=False)


def measure(variants, steps, folder):
    """Prints a line for each variant: {name: (arguments, precision)}."""
    running, times = {}, {}
    for name, (arguments, precision) in variants.items():
        hparams, prepared = load(arguments, Path(tempfile.mkdtemp(dir=folder)))
        loader = training_loader(hparams, prepared.train)
        step = Step(hparams, prepared.train.num_speakers, precision)
        running[name] = (step, endless(loader), hparams["batch_size"])
        times[name] = []
    for _ in range(steps + 1):
        for name, (step, batches, _) in running.items():
            times[name].append(step.timed(batches))
    print(f"{'':34}{'ms a step':>10}{'chunks/s':>10}{'loading':>9}{'features':>10}{'network':>9}")
    for name, (_, _, batch_size) in running.items():
        parts = [median(part) for part in zip(*times[name][1:], strict=True)]
        shares = "".join(f"{100 * part / sum(parts):>8.1f}%" for part in parts)
        print(f"{name:34}{1000 * sum(parts):>10.0f}{batch_size / sum(parts):>10.0f}{shares}")


def main(arguments, folder):
    steps = 10
    if "--steps" in arguments:
        place = arguments.index("--steps")
        steps = int(arguments[place + 1])
        del arguments[place : place + 2]
    runtime.keep_freed_memory()
    fast = runtime.fast_precision("cpu")
    from_files = ["--max_memory_gb", "0", "--num_workers", "1"]
    measure(
        {
            f"vgg.yaml, {fast}": (arguments, fast),
            f"audio from files, {fast}": ([*arguments, *from_files], fast),
            f"contiguous, {fast}": ([*arguments, "--channels_last", "False"], fast),
            "channels_last, fp32": (arguments, "fp32"),
            "contiguous, fp32": ([*arguments, "--channels_last", "False"], "fp32"),
        },
        steps,
        folder,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(sys.argv[1:], temporary)
