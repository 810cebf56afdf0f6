"""The cosine of all pairs of many utterances, of a list of trials, and of one with many people."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from made_up import make_trials
from tables import Row, Table, against, compared
from timing import interleaved, timed

from local.embeddings.people import changing, read_people
from local.lists.trials import read_trials
from local.scoring.cosine import cosine_scores
from local.scoring.identification import nearest

NUM_VALUES = 256
NUM_SPEECHBRAIN_TRIALS = 2000
# The size of VoxCeleb1-O.
NUM_LISTED, NUM_LISTED_UTTERANCES = 37_611, 4708
NUM_PEOPLE = 10_000


def measure(options):
    """Both beside SpeechBrain's way: a trial at a time, embeddings looked up by name."""
    num_utterances = 100 if options.quick else 5000
    num_listed, num_used = (200, 50) if options.quick else (NUM_LISTED, NUM_LISTED_UTTERANCES)
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((num_utterances, NUM_VALUES), np.float32)
    utterances = [f"id{i % 40:04d}/{i:011d}/{i % 30:05d}" for i in range(num_utterances)]
    every = make_trials(utterances, *np.indices((num_utterances, num_utterances)).reshape(2, -1))
    pairs = rng.choice(num_used * (num_used - 1) // 2, num_listed, replace=False)
    listed = make_trials(
        utterances[:num_used], *(side[pairs] for side in np.tril_indices(num_used, -1))
    )
    loop_seconds = timed(partial(loop, embeddings, every)) / NUM_SPEECHBRAIN_TRIALS
    rows = scoring_rows(every, embeddings, loop_seconds, target=1000)
    rows += scoring_rows(listed, embeddings[:num_used], loop_seconds)
    rows.append(list_row(listed))
    rows += people_rows(100 if options.quick else NUM_PEOPLE)
    return Table(f"Cosine scores of embeddings with {NUM_VALUES} values, and a list", rows)


def scoring_rows(trials, embeddings, loop_seconds, target=None):
    recipe = f"{len(trials):,} trials: the recipe"
    calls = {
        recipe: partial(cosine_scores, embeddings, trials),
        "the matrix product of all pairs alone": lambda: embeddings @ embeddings.T,
    }
    times = interleaved(calls, rounds=3)
    what = "SpeechBrain's loop, extrapolated"
    alternative = against(what, loop_seconds * len(trials), None, times[recipe].median, target)
    return [*compared(times), alternative]


def list_row(trials):
    """Reading the trials."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / "clients.txt", folder / "impostors.txt"]
        for path, is_client in zip(paths, (True, False), strict=True):
            rows = np.flatnonzero(trials.is_client == is_client)
            names = [trials.utterances[i] for i in (*trials.enrol[rows], *trials.test[rows])]
            pairs = zip(names[: len(rows)], names[len(rows) :], strict=True)
            path.write_text("".join(f"{enrol} {test}\n" for enrol, test in pairs))
        time = interleaved({"read_trials": partial(read_trials, *paths)}, rounds=3)["read_trials"]
    return Row(f"read_trials, {len(trials):,} lines", time.median, spread=time.spread)


def people_rows(num_people):
    """Finding out who of many people speaks, and adding one to their file."""
    embeddings = np.random.default_rng(0).standard_normal((num_people, NUM_VALUES), np.float32)
    names, model = [f"person {number}" for number in range(num_people)], {"digest": "0" * 64}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "people.npz"

        def enrol(names, embeddings):
            with changing(path, model) as (people, write):
                write(people.extended(names, embeddings))

        enrol(names, embeddings)
        calls = {
            "the nearest of them": partial(nearest, embeddings, names, embeddings[:1], ["a"], 3),
            "reading their file": partial(read_people, path),
            "adding one to it": partial(enrol, ["somebody"], embeddings[:1]),
        }
        times = interleaved(calls, rounds=5)
    return [
        Row(f"{num_people:,} people: {what}", time.median, spread=time.spread)
        for what, time in times.items()
    ]


def loop(embeddings, trials):
    """SpeechBrain's scoring: its similarity is torch's module, called for each trial."""
    similarity = torch.nn.CosineSimilarity(dim=-1, eps=1e-6)
    by_name = dict(zip(trials.utterances, torch.from_numpy(embeddings), strict=True))
    names = trials.utterances
    for enrol, test in zip(
        trials.enrol[:NUM_SPEECHBRAIN_TRIALS], trials.test[:NUM_SPEECHBRAIN_TRIALS], strict=True
    ):
        similarity(by_name[names[enrol]], by_name[names[test]]).item()
