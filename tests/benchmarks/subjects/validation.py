"""A validation: unique utterances to embeddings, all pairs to scores, scores to an EER."""

import itertools
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from made_up import make_trials, write_noise
from tables import Row, Table, against, compared
from timing import interleaved

from local.audio.reading import read_audio
from local.data.manifest_files import read_manifest
from local.data.manifests import prepare_trials
from local.embeddings.embed import embed_share, utterance_loader
from local.evaluation.metrics import eer
from local.machine import runtime
from local.machine.rows import gather_rows
from local.scoring.cosine import cosine_scores
from subjects.training import recipe_features, recipe_network

SAMPLE_RATE = 16000
BATCH_SECONDS = 60.0
NUM_SIDES = 40  # of trials that are embedded one by one
SECONDS, QUICK_SECONDS = (2.0, 6.0), (0.2, 0.6)


def measure(options):
    """Utterances of 2 to 6 s, the network of hparams/vgg.yaml with random weights."""
    num_utterances = 6 if options.quick else 400
    device = options.device
    precision = runtime.fast_precision(device)
    features = recipe_features().to(device).eval()
    extractor = recipe_network(8 if options.quick else 128).to(device).eval()
    with tempfile.TemporaryDirectory() as name:
        paths, trials = make_corpus(Path(name), num_utterances, options.quick)
        manifest_path = Path(name) / "valid.csv"
        prepare_trials(trials, name, manifest_path, progress=False)
        hours = sum(float(row["duration"]) for row in read_manifest(manifest_path)) / 3600
        workers = runtime.num_reading_workers(None, device)
        loader = utterance_loader(manifest_path, SAMPLE_RATE, BATCH_SECONDS, workers)
        autocast = runtime.autocast(precision, device)

        def recipe():
            share = embed_share(features, extractor, loader, device, precision, progress=False)
            embeddings = gather_rows(*share, len(loader.dataset), device)
            return eer(cosine_scores(embeddings, trials), trials.is_client)

        embed = partial(bare_forward, features, extractor, autocast)
        batches = [batch.waveforms.to(device) for batch in loader]
        ready = [features(waveforms)[0] for waveforms in batches]
        calls = {
            "the recipe": recipe,
            "limit: features and network, without padding": partial(embed, batches),
            "limit: network, on ready features": partial(
                bare_forward, lambda x: (x, None), extractor, autocast, ready
            ),
        }
        targets = {"limit: features and network, without padding": 1 / 1.15}
        times = interleaved(calls, rounds=9, quick=options.quick)
        rows = compared(times, targets)
        num_sides = 2 if options.quick else NUM_SIDES
        sides = list(itertools.islice(itertools.cycle(paths), num_sides))
        alone = {"alone": partial(one_by_one, embed, sides, device)}
        each = interleaved(alone, rounds=3, quick=options.quick)["alone"].median / num_sides
    what = "both sides of each trial one by one, extrapolated"
    rows.append(against(what, 2 * each * len(trials), None, rows[0].figure, 50))
    for row in rows[:2]:
        rows.append(Row(f"{row.what}: hours of audio", hours / row.figure, "a second"))
    title = f"Validation: {num_utterances} utterances, {len(trials):,} trials, in {precision}"
    return Table(title, rows)


def make_corpus(folder, num_utterances, quick=False):
    """The paths of the audio, and all pairs of it as trials."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{index}.wav" for index in range(num_utterances)]
    for seed, path in enumerate(paths):
        write_noise(path, rng.uniform(*(QUICK_SECONDS if quick else SECONDS)), seed)
    enrol, test = np.triu_indices(num_utterances, 1)
    return paths, make_trials([path.stem for path in paths], enrol, test)


@torch.inference_mode()
def bare_forward(features, extractor, autocast, batches):
    """Embeds batches, taking them for whole."""
    with autocast:
        return [extractor(features(waveforms)[0]).float().cpu() for waveforms in batches]


def one_by_one(embed, paths, device):
    for path in paths:
        embed([torch.from_numpy(read_audio(path))[None].to(device)])
