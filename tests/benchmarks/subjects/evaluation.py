"""All metrics with their intervals, and what the recipe needs of 10^7 trials."""

from functools import partial

import numpy as np
import torch
from made_up import make_trials
from processes import apart
from speechbrain.utils.metric_stats import EER
from tables import Row, Table, against
from timing import interleaved, timed

from local.evaluation.evaluate import Evaluator
from local.evaluation.summary import summarise
from local.scoring.trial_scores import TrialScores
from subjects.metrics import local_metrics, made_up_scores
from subjects.score_files import peak_gigabytes

# Speakers, utterances and trials of VoxCeleb1-O.
VOXCELEB_SIZES = (40, 4708, 37_611)
NUM_DRAWS = 1000
MAX_SECONDS = 10.0
NUM_MANY, MAX_SECONDS_OF_MANY, MAX_GIGABYTES_OF_MANY = 10_000_000, 3.0, 1.5
NUM_SPEECHBRAIN_TRIALS = 3000


def measure(options):
    """The evaluation of a list, beside SpeechBrain's EER in as many draws; then of 10^7 trials."""
    num_draws = 20 if options.quick else NUM_DRAWS
    num_many = 100_000 if options.quick else NUM_MANY
    system = made_up_system(*(VOXCELEB_SIZES if not options.quick else (10, 100, 2000)))
    calls = {
        f"all metrics, {num_draws:,} draws": partial(
            Evaluator(num_draws=num_draws).evaluate, system
        ),
        "without draws": partial(Evaluator(num_draws=0).evaluate, system),
    }
    times = interleaved(calls, rounds=3)
    ours = next(iter(times.values())).median
    (drawn, bare), (with_draws, without) = times, times.values()
    rows = [within(drawn, with_draws.median, MAX_SECONDS, spread=with_draws.spread)]
    rows.append(against(bare, *without, ours))
    num_trials = len(system.scores)
    factor = num_draws * (num_trials / NUM_SPEECHBRAIN_TRIALS) ** 2
    what = f"SpeechBrain's EER alone, {num_draws:,} draws, extrapolated"
    rows.append(against(what, timed(partial(speechbrain_eer, system)) * factor, None, ours))
    many = made_up_scores(num_many)
    name = f"{num_many:,} trials"
    seconds = interleaved({"": partial(local_metrics, *many)}, rounds=3)[""].median
    rows.append(within(f"{name}: EER, minDCF and thresholds", seconds, MAX_SECONDS_OF_MANY))
    gigabytes = apart(memory, num_many, quick=options.quick)
    rows.append(within("memory of the whole process", gigabytes, MAX_GIGABYTES_OF_MANY, "GB"))
    seconds = interleaved({"": partial(summarise, *many)}, rounds=3)[""].median
    rows.append(Row(f"{name}: all metrics", seconds))
    return Table(f"Evaluation of {num_trials:,} trials", rows)


def within(what, figure, most, unit="s", spread=None):
    return Row(what, figure, unit, spread, target=f"at most {most:g}", met=figure <= most)


def made_up_system(num_speakers, num_utterances, num_trials):
    """Half of the trials are of clients."""
    rng = np.random.default_rng(0)
    names = [f"s{i % num_speakers}/{i}" for i in range(num_utterances)]
    enrol = rng.integers(num_utterances, size=num_trials)
    step = np.where(np.arange(num_trials) % 2 == 0, num_speakers, 1)
    trials = make_trials(
        names, enrol, (enrol + step) % (num_utterances // num_speakers * num_speakers)
    )
    scores = rng.standard_normal(num_trials) + 3.0 * trials.is_client
    return TrialScores("made up", trials, scores.astype(np.float32), {}, {}, names)


def speechbrain_eer(system):
    scores = torch.from_numpy(system.scores[:NUM_SPEECHBRAIN_TRIALS])
    is_client = torch.from_numpy(system.trials.is_client[:NUM_SPEECHBRAIN_TRIALS])
    EER(scores[is_client], scores[~is_client])


def memory(num_trials):
    """The peak in GB of a process that makes up scores and judges them."""
    local_metrics(*made_up_scores(num_trials))
    return peak_gigabytes()
