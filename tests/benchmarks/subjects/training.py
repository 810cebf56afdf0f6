"""A training step: the recipe's whole loop beside the bare network and other networks."""

import dataclasses
import runpy
import tempfile
from functools import partial
from pathlib import Path

import torch
from flops import TRAINING_PASSES, bf16_peak_flops
from made_up import SMALL, as_arguments, write_corpus
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.lobes.models.Xvector import Xvector
from tables import Table, against, compared
from timing import interleaved
from torch import nn

from local.features.log_mel import LogMel
from local.machine import runtime
from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.pooling import make_pooling
from local.models.size import num_macs
from local.models.vgg import VGG, vgg_channels

ROOT = Path(__file__).resolve().parents[3]
EMBEDDING_SIZE, NUM_MELS = 256, 40  # of hparams/vgg.yaml
FROM_FILES = {"max_memory_gb": "0"}
BARE = "limit: its network alone"
CONTIGUOUS, PLAIN = "the same, contiguous in float32", "plain layers, contiguous in float32"
STEPS_AT_ONCE = 3
QUICK = {"batch_size": "2", "chunk_samples": "4000", "width": "8"}


def measure(options):
    """The network of vgg.yaml in two widths; gpu_training measures on a GPU."""
    rows = []
    for width in (8,) if options.quick else (128, 256):
        with tempfile.TemporaryDirectory() as name:
            rows += cpu_rows(Path(name), width, options.quick)
    title = "A training step on the CPU: hparams/vgg.yaml, 64 chunks of 1.5 s"
    return Table(title, rows, "Networks: forward and backward on ready features.")


def cpu_rows(folder, width, quick):
    settings = write_corpus(folder / "corpus", **(SMALL if quick else {"seconds": 4.0}))
    settings |= QUICK if quick else {}
    settings |= {"width": width, "embedding_size": EMBEDDING_SIZE}
    loop = Loop(folder, settings)
    precision = loop.hparams["precision"]
    features, _ = loop.brain.modules.features(loop.next_batch().waveforms)
    step = partial(bare_step, features=features)
    networks = {
        f"K = {width}: the recipe's network in {precision}": step(recipe_network(width), precision),
        CONTIGUOUS: step(recipe_network(width, channels_last=False), "fp32"),
        PLAIN: step(plain_network(width), "fp32"),
        f"ECAPA-TDNN, C = 512, in {precision}": step(ecapa_tdnn(), precision),
        f"x-vector in {precision}": step(Xvector(in_channels=NUM_MELS), precision),
    }
    loops = {
        f"K = {width}: the recipe, whole loop": loop,
        "the same, audio from WAV files": Loop(folder, settings | FROM_FILES),
    }
    times = interleaved(networks | loops, rounds=5, at_once=STEPS_AT_ONCE, quick=quick)
    network_rows = compared({what: times[what] for what in networks}, {CONTIGUOUS: 3, PLAIN: 3})
    ours = network_rows[0].figure
    if precision == "bf16":
        network_rows.append(at_peak(loop, features, ours, quick))
    loop_times = {what: times[what] for what in loops} | {BARE: times[next(iter(networks))]}
    return network_rows + compared(loop_times, {BARE: 0.88})


def at_peak(loop, features, ours, quick):
    """A row: the step if all of it were as fast as matrix products in bf16."""
    flops = step_flops(loop.brain.modules.extractor, features.shape)
    what = f"limit: its {flops / 1e12:.3g} TFLOP at the bf16 peak"
    return against(what, flops / bf16_peak_flops("cpu", quick), None, ours)


def step_flops(network, shape):
    """Operations of a network, forward and backward: shape is (chunks, frames, features)."""
    return 2 * TRAINING_PASSES * shape[0] * num_macs(network, *shape[1:])


class Loop:
    """The recipe's training loop, a step a call: data, features, network, loss, update.

    Arguments
    ---------
    folder : Path
    settings : dict
        Without augmentation, if they say nothing of it.
    device : str
    num_speakers : int, optional
        Of the classifier, where more than the corpus has.
    """

    def __init__(self, folder, settings, device="cpu", num_speakers=None):
        script = runpy.run_path(str(ROOT / "recipes" / "train_vgg.py"))
        if num_speakers:
            _add_speakers(script, num_speakers)
        settings = {"augment": False} | settings
        settings |= {"device": device, "out_dir": tempfile.mkdtemp(dir=folder)}
        arguments = [str(ROOT / "hparams" / "vgg.yaml"), *as_arguments(settings)]
        settings = script["command_line"].load_hparams(arguments)
        self.brain, self.loader, _ = script["set_up"](*settings)
        self.hparams = settings[1]
        self.brain.on_fit_start()
        self.brain.on_stage_start(script["sb"].Stage.TRAIN)
        self.brain.modules.train()
        self._batches = iter(self.loader)

    def next_batch(self):
        batch = next(self._batches, None)
        if batch is None:
            self._batches = iter(self.loader)
            batch = next(self._batches)
        return batch

    def __call__(self):
        batch = self.next_batch()
        self.brain.step += 1
        self.brain.fit_batch(batch)


def _add_speakers(script, num_speakers):
    functions = script["set_up"].__globals__
    prepare_data = functions["prepare_data"]

    def prepare(hparams):
        prepared, augmentation, _ = prepare_data(hparams)
        train = dataclasses.replace(prepared.train, num_speakers=num_speakers)
        return prepared._replace(train=train), augmentation, num_speakers

    functions["prepare_data"] = prepare


def bare_step(network, precision, features):
    """Forward and backward of a network on ready features, as a function without arguments."""
    device = features.device
    network.to(device).train()
    autocast = runtime.autocast(precision, device)

    def step():
        with autocast:
            embeddings = network(features)
        embeddings.float().square().mean().backward()
        network.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def recipe_network(width, channels_last=True):
    return EmbeddingExtractor(
        VGG(vgg_channels(4, width), NUM_MELS, batch_norm=True, channels_last=channels_last),
        partial(make_pooling, name="statistics"),
        partial(EmbeddingHead, embedding_size=EMBEDDING_SIZE, hidden_size=0, relu=False),
    )


def recipe_features():
    return LogMel(num_mels=NUM_MELS, remove_dc_offset=True)


def ecapa_tdnn():
    return ECAPA_TDNN(NUM_MELS, channels=[512, 512, 512, 512, 1536])


def plain_network(width):
    """The same as it is usually written: batch norm and ReLU before the pooling."""
    network = recipe_network(width, channels_last=False)
    network.front_end = PlainFrontEnd(vgg_channels(4, width))
    return network


class PlainFrontEnd(nn.Module):
    """Convolution, batch norm and ReLU twice, max-pool: torch's own layers one after the other."""

    def __init__(self, channels):
        super().__init__()
        layers, inputs = [], 1
        for outputs in channels:
            for _ in range(2):
                layers.append(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
                layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.layers = nn.Sequential(*layers)

    def forward(self, features, lengths=None):
        images = self.layers(features.unsqueeze(1))
        return images.transpose(1, 2).flatten(start_dim=2), lengths
