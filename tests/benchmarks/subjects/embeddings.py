"""Embedding recordings on one core, from files to vectors."""

import resource
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from made_up import write_noise
from processes import apart
from tables import Row, Table, compared
from timing import interleaved

from local.data.manifests import prepare_recordings
from local.embeddings.embed import embed_share, utterance_loader
from local.embeddings.long_recordings import embed_by_parts
from local.errors import Problems
from local.lists.file_lists import find_recordings
from local.machine import runtime
from subjects.training import recipe_features, recipe_network
from subjects.validation import bare_forward

SAMPLE_RATE = 16000
BATCH_SECONDS = 60.0


def measure(options):
    """Recordings of 2 to 12 s, the network of hparams/vgg.yaml with random weights."""
    torch.set_num_threads(1)
    device = options.device
    precision = runtime.fast_precision(device)
    features = recipe_features().to(device).eval()
    extractor = recipe_network(8 if options.quick else 128).to(device).eval()
    with tempfile.TemporaryDirectory() as name:
        manifest = write_corpus(Path(name), 2 if options.quick else 200)
        loader = utterance_loader(manifest.path, SAMPLE_RATE, BATCH_SECONDS)
        autocast = runtime.autocast(precision, device)
        batches = [batch.waveforms.to(device) for batch in loader]
        calls = {
            "the recipe": lambda: embed_share(
                features, extractor, loader, device, precision, progress=False
            ),
            "limit: features and network, without padding": partial(
                bare_forward, features, extractor, autocast, batches
            ),
        }
        times = interleaved(calls, rounds=9, quick=options.quick)
    rows = compared(times, {"limit: features and network, without padding": 1 / 1.1})
    speed = manifest.seconds / rows[0].figure
    rows.append(
        Row("the recipe's speed", speed, "x real time", None, None, "at least 50", speed >= 50)
    )
    rows += memory_rows(*((8, 1.2) if options.quick else (128, 60.0)), options.quick)
    title = f"Embeddings of {manifest.seconds / 60:.3g} minutes on one core, in {precision}"
    return Table(title, rows)


def memory_rows(width, minutes, quick):
    """Of one long recording, over what the process had before: in parts, and at once."""
    ours, at_once = (
        apart(peak_gigabytes, width, minutes, in_parts, quick=quick) for in_parts in (True, False)
    )
    what = f"memory for {minutes:g} minutes, K = {width}, float32"
    return [
        Row(f"{what}: the recipe", ours, "GB"),
        Row("at once", at_once, "GB", times_ours=at_once / ours if ours else None),
    ]


@torch.inference_mode()
def peak_gigabytes(width, minutes, in_parts):
    """Embeds a recording on the CPU; the memory that this takes at its highest."""
    features, extractor = recipe_features(), recipe_network(width).eval()
    num_samples = int(minutes * 60 * SAMPLE_RATE)
    # Not torch.randint, which has eight bytes for each number first.
    samples = np.random.default_rng(0).integers(-3000, 3000, (1, num_samples), np.int16)
    waveforms = torch.from_numpy(samples)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    values, num_frames = features(waveforms, torch.tensor([num_samples]))
    if in_parts:
        embed_by_parts(extractor, values, num_frames)
    else:
        extractor(values, num_frames)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e9


def write_corpus(folder, num_recordings):
    """WAV files, and the manifest of them."""
    rng = np.random.default_rng(0)
    for seed in range(num_recordings):
        write_noise(folder / "audio" / f"{seed}.wav", rng.uniform(2, 12), seed)
    problems = Problems()
    recordings = find_recordings([str(folder / "audio")], problems)
    return prepare_recordings(recordings, folder, folder / "all.csv", problems, progress=False)
