"""The training loop on a GPU, for networks of three sizes: speed, share of the peak, memory."""

import copy
import tempfile
import time
from pathlib import Path

import torch
from flops import bf16_peak_flops
from made_up import SMALL, write_corpus
from tables import Row, Table

from local.machine import runtime
from local.models.step_memory import step_memory
from subjects.training import FROM_FILES, QUICK, ROOT, Loop, step_flops

# Chunks of 1.5 s for those of vgg.yaml, of 3.5 s for that of paper.yaml; 64 of them.
PAPER = {"preset": str(ROOT / "hparams" / "presets" / "paper.yaml"), "normalize_over": "chunk"}
PAPER |= {"batch_size": "64", "grad_accumulation_factor": "1"}
WIDTHS = {128: {}, 256: {}, 1024: PAPER}
# An epoch that is not over meanwhile: workers start with each.
SETTINGS = FROM_FILES | {"validate_every": "1000000"}
AIM_PERCENT = 50
WARM_UP_STEPS = 8
SECONDS = 4.0


def measure(options):
    """Audio from WAV files; with weights in the order of channels_last, and without."""
    peak = bf16_peak_flops(options.device, options.quick)
    rows = [Row("bf16 matrix products", peak / 1e12, "TFLOP/s")]
    for width in (1024,) if options.quick else WIDTHS:
        with tempfile.TemporaryDirectory() as name:
            loop = make_loop(Path(name), width, options)
            rows += loop_rows(f"K = {width}", loop, peak, options.quick)
            extractor = loop.brain.modules.extractor
            extractor.to(memory_format=torch.contiguous_format)
            seconds = steps(loop, options.quick)
            ours = rows[-len(ROWS)].figure
            rows.append(Row(f"K = {width}: contiguous weights", seconds, times_ours=seconds / ours))
    return Table("Training on a GPU: whole loop, 64 chunks from WAV files", rows)


def make_loop(folder, width, options, **changes):
    """A Loop of the network of a width, with other settings."""
    quick = options.quick
    corpus = write_corpus(folder / "corpus", **(SMALL if quick else {"seconds": 4.0}))
    settings = corpus | SETTINGS | WIDTHS.get(width, {})
    settings |= QUICK | {"num_heads": "2"} if quick else {"width": str(width)}
    return Loop(folder, settings | changes, options.device)


def steps(loop, quick):
    """The seconds of a step, after some that warm up."""
    for _ in range(1 if quick else WARM_UP_STEPS):
        loop()
    synchronize(loop.brain.device)
    loop.brain.speed.start_epoch()
    start, num_steps = time.perf_counter(), 0
    while num_steps < 2 or not (quick or time.perf_counter() - start > SECONDS):
        loop()
        num_steps += 1
    synchronize(loop.brain.device)
    return (time.perf_counter() - start) / num_steps


def synchronize(device):
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


ROWS = ("step", "utterances", "share of the peak", "waiting for data", "memory", "--dry_run")


def loop_rows(what, loop, peak, quick):
    """A row for each of ROWS."""
    brain, is_gpu = loop.brain, torch.device(loop.brain.device).type == "cuda"
    if is_gpu:
        torch.cuda.reset_peak_memory_stats(brain.device)
    seconds = steps(loop, quick)
    highest = torch.cuda.max_memory_allocated(brain.device) if is_gpu else 0
    num_frames = brain.modules.features.num_frames(brain.hparams.chunk_samples)
    shape = (brain.train_sampler.batch_size, num_frames, brain.hparams.num_mels)
    share = 100 * step_flops(brain.modules.extractor, shape) / (seconds * peak)
    aim = {"target": f"at least {AIM_PERCENT}", "met": share >= AIM_PERCENT}
    figures = [
        (seconds, "s", {}),
        (brain.speed.utterances_per_second, "a second", {}),
        (share, "%", aim if brain.hparams.width == 1024 else {}),
        (100 * brain.speed.waiting_share, "%", {}),
        (highest / 1e9, "GB", {}),
        (said_memory(brain, shape, loop.hparams["precision"]) / 1e9, "GB", {}),
    ]
    return [
        Row(f"{what}: {name}", figure, unit, **more)
        for name, (figure, unit, more) in zip(ROWS, figures, strict=True)
    ]


def said_memory(brain, shape, precision):
    """The bytes that --dry_run says for the step of a Brain."""
    parts = (copy.deepcopy(brain.modules[name]).cpu() for name in ("extractor", "classifier"))
    memory = step_memory(
        *parts,
        brain.hparams.loss,
        brain.opt_class,
        shape,
        runtime.autocast_dtype(precision),
        average=brain.average is not None,
    )
    return memory.highest
