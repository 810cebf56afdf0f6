"""The cosine of all pairs of many utterances, and of a list of trials."""

import numpy as np
import torch
from tables import Table, against, compared
from timing import interleaved, timed

from local.scoring import cosine_scores
from local.trials import Trials

NUM_VALUES = 256
NUM_SPEECHBRAIN_TRIALS = 2000
# The size of VoxCeleb1-O.
NUM_LISTED, NUM_LISTED_UTTERANCES = 37_611, 4708


def measure(options):
    """Both beside SpeechBrain's way: a trial at a time, embeddings looked up by name."""
    num_utterances = 100 if options.quick else 5000
    num_listed, num_used = (200, 50) if options.quick else (NUM_LISTED, NUM_LISTED_UTTERANCES)
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((num_utterances, NUM_VALUES), np.float32)
    utterances = [f"id{i % 40:04d}/{i:011d}/{i % 30:05d}" for i in range(num_utterances)]
    every = np.indices((num_utterances, num_utterances), np.int32).reshape(2, -1)
    listed = rng.integers(num_used, size=(2, num_listed), dtype=np.int32)
    by_name = {
        name: torch.from_numpy(row) for name, row in zip(utterances, embeddings, strict=True)
    }
    loop_seconds = timed(lambda: loop(by_name, utterances, every)) / NUM_SPEECHBRAIN_TRIALS
    rows = []
    for (enrol, test), num_rows, target in (
        (every, num_utterances, 1000),
        (listed, num_used, None),
    ):
        trials = make_trials(utterances[:num_rows], enrol, test)
        used = embeddings[:num_rows]
        calls = {f"{len(enrol):,} trials: the recipe": lambda: cosine_scores(used, trials)}  # noqa: B023
        if target:
            calls["limit: the matrix product alone"] = lambda: used @ used.T  # noqa: B023
        times = interleaved(calls, rounds=3)
        rows += compared(times)
        ours = next(iter(times.values())).median
        what = "SpeechBrain's loop, extrapolated"
        rows.append(against(what, loop_seconds * len(enrol), None, ours, target))
    return Table(f"Cosine scores of embeddings with {NUM_VALUES} values", rows)


def make_trials(utterances, enrol, test):
    is_client = np.arange(len(enrol)) % 2 == 0
    return Trials(utterances, enrol, test, is_client, [("trials.txt", 1)] * len(utterances))


def loop(by_name, utterances, pairs):
    """SpeechBrain's scoring: its similarity is torch's module, called for each trial."""
    similarity = torch.nn.CosineSimilarity(dim=-1, eps=1e-6)
    scores = []
    for enrol, test in pairs[:, :NUM_SPEECHBRAIN_TRIALS].T:
        score = similarity(by_name[utterances[enrol]], by_name[utterances[test]])
        scores.append(score.item())
    return scores
