"""What the augmentation of a training batch costs, part by part, on one core."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from made_up import SMALL, write_corpus
from tables import Row, Table, against
from timing import interleaved

from local.augmentation.mixup import Mixup
from local.augmentation.voices import Voices
from subjects.training import EMBEDDING_SIZE, NUM_MELS, QUICK, Loop

MOST = 0.15  # of a step
AS_IT_IS = {"augment": True}
ALL = AS_IT_IS | {
    "augmentation": {
        "silence": {"probability": 0.1},
        "reverberation": {"made": True},
        "noise": {"made": True},
        "telephone": {"probability": 0.1},
        "time_masks": {"probability": 0.3},
    }
}


def measure(options):
    """Each part by itself, and the whole loop without, with those of vgg.yaml, and with all."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = write_corpus(folder / "corpus", **(SMALL if options.quick else {"seconds": 4.0}))
        settings |= QUICK if options.quick else {}
        settings |= {"embedding_size": EMBEDDING_SIZE}
        loops = {
            "a step without augmentation": Loop(folder, settings, options.device),
            "a step with that of vgg.yaml": Loop(folder, settings | AS_IT_IS, options.device),
            "a step with all parts": Loop(folder, settings | ALL, options.device),
        }
        with_it = loops["a step with all parts"]
        calls = part_calls(with_it.brain.modules.augmentation, with_it.next_batch(), options.device)
        rounds = {"rounds": 9, "warm_up": 2, "quick": options.quick}
        steps = interleaved(loops, **rounds)
        parts = interleaved(calls, at_once=3, **rounds)
    ours = steps["a step without augmentation"].median
    rows = [against(name, *time, ours) for name, time in steps.items()]
    rows += [against(name, *time, ours) for name, time in parts.items()]
    total = parts["all parts"].median / ours
    rows.append(
        Row("all parts, of a step", 100 * total, "%", None, None, "at most 15 %", total <= MOST)
    )
    title = f"Augmentation of {len(with_it.next_batch().labels)} chunks of 1.5 s on one core"
    return Table(title, rows, "Rooms and noise are made; times ours: of a step.")


def part_calls(augmentation, batch, device):
    """Each part alone, and all of them, on a batch of chunks."""
    voices, length = augmentation.voices, augmentation.chunk_samples
    longest = max(voices.num_samples(length, voice) for voice in range(len(voices.speeds)))
    chunks = batch.waveforms.to(device).repeat(1, 2)[:, :longest]
    waveforms, features = chunks.float(), torch.randn(len(chunks), 147, NUM_MELS, device=device)
    draws = uniform(len(chunks), augmentation.num_draws)

    def everything():
        augmentation.waveforms(chunks, draws)
        augmentation.features(features.clone(), draws)

    def alone(part, values):
        own = uniform(len(values), part.num_draws)
        return lambda: part(values.clone(), own)

    calls = {
        "all parts": everything,
        "a copy of the chunks, as in each part but speeds": waveforms.clone,
        "voices: speeds": partial(at_speeds, voices, waveforms, length),
        "voices: warps in their place": partial(at_warps, features),
        "mixup of half of the chunks": alone(Mixup(probability=0.5), waveforms[:, :length]),
    }
    for part in augmentation.waveform_parts[1:]:
        calls[type(part).__name__.lower()] = alone(part, waveforms[:, :length])
    for part in augmentation.feature_parts:
        calls[type(part).__name__.lower()] = alone(part, features)
    return {name: finished(call, device) for name, call in calls.items()}


def uniform(batch_size, size):
    return torch.from_numpy(np.random.default_rng(0).random((batch_size, size)))


def at_speeds(voices, waveforms, length):
    numbers = voices.numbers(np.linspace(0, 1, len(waveforms), endpoint=False))
    voices.at_speeds(waveforms, numbers, length)


def at_warps(features):
    voices = Voices(speeds=[], warps=[0.9, 1.1], num_mels=NUM_MELS)
    numbers = voices.numbers(np.linspace(0, 1, len(features), endpoint=False))
    voices.warped(features.clone(), numbers)


def finished(call, device):
    """The call, up to where a GPU has finished it."""

    @torch.inference_mode()
    def waiting():
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return waiting
