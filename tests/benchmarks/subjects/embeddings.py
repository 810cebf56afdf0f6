"""Embedding recordings on one core, from files to vectors."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from made_up import write_noise
from speechbrain.utils.autocast import AMPConfig, TorchAutocast
from tables import Row, Table, compared
from timing import interleaved

from local import runtime
from local.embedding import embed_share, utterance_loader
from local.errors import Problems
from local.features import LogMel
from local.file_lists import find_recordings
from local.manifests import prepare_recordings
from subjects.training import recipe_network
from subjects.validation import bare_forward

SAMPLE_RATE = 16000
BATCH_SECONDS = 60.0


def measure(options):
    """Recordings of 2 to 12 s, the network of hparams/vgg.yaml with random weights."""
    torch.set_num_threads(1)
    device = options.device
    precision = runtime.fast_precision(device)
    features = LogMel().to(device).eval()
    extractor = recipe_network(8 if options.quick else 128).to(device).eval()
    with tempfile.TemporaryDirectory() as name:
        manifest = write_corpus(Path(name), 6 if options.quick else 200)
        loader = utterance_loader(manifest.path, SAMPLE_RATE, BATCH_SECONDS, keep_going=True)
        autocast = TorchAutocast(
            device_type=torch.device(device).type, dtype=AMPConfig.from_name(precision).dtype
        )
        batches = [batch.waveforms.to(device) for batch in loader]
        calls = {
            "the recipe": lambda: embed_share(
                features, extractor, loader, device, precision, progress=False
            ),
            "limit: features and network, without padding": partial(
                bare_forward, features, extractor, autocast, batches
            ),
        }
        times = interleaved(calls, rounds=1 if options.quick else 9)
    rows = compared(times, {"limit: features and network, without padding": 1 / 1.1})
    speed = manifest.seconds / rows[0].figure
    rows.append(
        Row("the recipe's speed", speed, "x real time", None, None, "at least 50", speed >= 50)
    )
    title = f"Embeddings of {manifest.seconds / 60:.3g} minutes on one core, in {precision}"
    return Table(title, rows)


def write_corpus(folder, num_recordings):
    """WAV files, and the manifest of them."""
    rng = np.random.default_rng(0)
    for seed in range(num_recordings):
        write_noise(folder / "audio" / f"{seed}.wav", rng.uniform(2, 12), seed)
    problems = Problems()
    recordings = find_recordings([str(folder / "audio")], problems)
    return prepare_recordings(recordings, folder, folder / "all.csv", problems, progress=False)
