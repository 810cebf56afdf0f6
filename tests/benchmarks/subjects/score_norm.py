"""Adaptive s-norm of a long list of trials, and the training of PLDA."""

from functools import partial

import numpy as np
import torch
from made_up import make_trials
from processes import apart
from tables import Row, Table, against
from timing import interleaved, timed

from local.scoring.backends import Plda
from local.scoring.cosine import dot_scores
from local.scoring.score_norm import cohort_statistics, normalise
from subjects.score_files import peak_gigabytes

# Trials and utterances of VoxCeleb1-E; values of an embedding, utterances of the cohort.
VOXCELEB_SIZES = (580_000, 145_160, 256, 5000)
QUICK_SIZES = (1000, 200, 16, 50)
TOP_N = 300
MAX_SECONDS = 60.0
NUM_SPEECHBRAIN_TRIALS = 200
# Of PLDA's training: speakers, utterances of each, rank.
PLDA_SIZES = (500, 10, 100)


def measure(options):
    """The recipe's, once for each utterance; SpeechBrain's recipe's, once for each trial's side."""
    sizes = QUICK_SIZES if options.quick else VOXCELEB_SIZES
    vectors, cohort, trials = made_up(*sizes)
    top_n = min(TOP_N, len(cohort) - 1)
    time = interleaved({"": partial(as_norm, vectors, cohort, trials, top_n)}, rounds=3)[""]
    what = f"as-norm of {len(trials):,} trials, {len(cohort):,} in the cohort, top {top_n}"
    target, met = f"at most {MAX_SECONDS:g}", time.median <= MAX_SECONDS
    rows = [Row(what, time.median, "s", time.spread, target=target, met=met)]
    num_slow = min(NUM_SPEECHBRAIN_TRIALS, len(trials))
    slow = timed(partial(trial_by_trial, vectors, cohort, trials, top_n, num_slow))
    name = "trial by trial, as SpeechBrain's recipe, extrapolated"
    rows.append(against(name, slow * len(trials) / num_slow, None, time.median))
    rows.append(
        Row("memory of the whole process", apart(memory, sizes, top_n, quick=options.quick), "GB")
    )
    num_speakers, num_utterances, rank = (10, 5, 3) if options.quick else PLDA_SIZES
    unit = made_up(1, num_speakers * num_utterances, sizes[2], 2)[0]
    speakers = [f"{index % num_speakers}" for index in range(len(unit))]
    name = f"training PLDA of rank {rank} on {len(unit):,} utterances"
    rows.append(Row(name, timed(partial(Plda, unit, speakers, rank))))
    return Table("Score normalisation and PLDA", rows)


def made_up(num_trials, num_utterances, num_values, cohort_size):
    """Embeddings of length 1, of the utterances and of the cohort; and trials at random."""
    rng = np.random.default_rng(0)
    vectors, cohort = (
        rng.standard_normal((size, num_values), np.float32)
        for size in (num_utterances, cohort_size)
    )
    for rows in (vectors, cohort):
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"u{index}" for index in range(num_utterances)]
    trials = make_trials(names, *rng.integers(num_utterances, size=(2, num_trials)))
    return vectors, cohort, trials


def as_norm(vectors, cohort, trials, top_n):
    scores = dot_scores(vectors, vectors, trials.enrol, trials.test)
    return normalise(scores, trials, "as", cohort_statistics(vectors, cohort, top_n))


def trial_by_trial(vectors, cohort, trials, top_n, num_trials):
    """SpeechBrain's similarity of both sides of each trial to all of the cohort."""
    similarity = torch.nn.CosineSimilarity(dim=-1, eps=1e-6)
    vectors, cohort = torch.from_numpy(vectors), torch.from_numpy(cohort)
    for sides in zip(trials.enrol[:num_trials], trials.test[:num_trials], strict=True):
        score = similarity(*vectors[list(sides)])
        for side in sides:
            top = similarity(vectors[side].expand_as(cohort), cohort).topk(top_n).values
            (score - top.mean()) / top.std()


def memory(sizes, top_n):
    """The peak in GB of a process that makes up embeddings and normalises their scores."""
    as_norm(*made_up(*sizes), top_n)
    return peak_gigabytes()
