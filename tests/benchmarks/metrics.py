"""Times metrics, cosine scoring and trial lists; prints tables, asserts nothing.

python tests/benchmarks/metrics.py              # up to 10^6 trials
python tests/benchmarks/metrics.py --largest 7  # up to 10^7
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import det_curve
from speechbrain.utils.metric_stats import EER, minDCF

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local.metrics import curve_eer, curve_min_dcf, detection_curve
from local.scoring import cosine_scores, read_scores, write_scores
from local.summary import summarise
from local.trials import Trials, read_trials

P_TARGETS = (0.01, 0.05)
# SpeechBrain's EER takes time, and its minDCF memory, with the square of the number of trials.
MAX_SPEECHBRAIN_TRIALS = 10_000

# The size of VoxCeleb1-O.
NUM_TRIALS, NUM_UTTERANCES = 37_611, 4708
NUM_VALUES = 400


def main():
    parser = argparse.ArgumentParser(description="Times the metrics and the scoring.")
    parser.add_argument("--largest", type=int, default=6, help="power of ten (default: 6)")
    largest = parser.parse_args().largest
    print("EER, minDCF(0.01) and minDCF(0.05) together; seconds (times as long)")
    print(f"{'trials':>12}{'local':>10}{'scikit-learn':>22}{'SpeechBrain':>22}")
    for power in range(4, largest + 1):
        print_metrics_row(10**power)
    print(f"peak memory of the process, with all three: {peak_gigabytes():.2f} GB\n")
    print("cosine scores of embeddings with 400 values, and lists of trials; seconds")
    print_scoring_rows()
    print(f"peak memory of the process: {peak_gigabytes():.2f} GB")


def print_metrics_row(num_trials):
    rng = np.random.default_rng(0)
    is_client = rng.random(num_trials) < 0.5
    scores = (rng.standard_normal(num_trials) + 3.0 * is_client).astype(np.float32)
    ours = seconds(local_metrics, scores, is_client)
    row = f"{num_trials:>12,}{ours:>10.4f}" + with_ratio(
        seconds(scikit_learn_metrics, scores, is_client), ours
    )
    if num_trials <= MAX_SPEECHBRAIN_TRIALS:
        clients, impostors = torch.tensor(scores[is_client]), torch.tensor(scores[~is_client])
        row += with_ratio(seconds(speechbrain_metrics, clients, impostors, repeats=1), ours)
    else:
        row += f"{'not tried':>22}"
    print(row, flush=True)


def local_metrics(scores, is_client):
    curve = detection_curve(scores, is_client)
    return curve_eer(curve), [curve_min_dcf(curve, p_target) for p_target in P_TARGETS]


def scikit_learn_metrics(scores, is_client):
    false_alarm, miss, _ = det_curve(is_client, scores)
    costs = [p_target * miss + (1.0 - p_target) * false_alarm for p_target in P_TARGETS]
    return np.abs(miss - false_alarm).argmin(), [cost.min() for cost in costs]


def speechbrain_metrics(clients, impostors):
    costs = [minDCF(clients, impostors, p_target=p_target) for p_target in P_TARGETS]
    return EER(clients, impostors), costs


def print_scoring_rows():
    rng = np.random.default_rng(0)
    utterances = [f"id1{i % 40:04d}/{i:011d}/{i % 30:05d}" for i in range(5000)]
    embeddings = rng.standard_normal((5000, NUM_VALUES)).astype(np.float32)
    pairs = rng.choice(NUM_UTTERANCES * (NUM_UTTERANCES - 1) // 2, NUM_TRIALS, replace=False)
    enrol, test = np.tril_indices(NUM_UTTERANCES, -1)
    sparse = make_trials(utterances[:NUM_UTTERANCES], enrol[pairs], test[pairs])
    dense = make_trials(utterances, *np.tril_indices(5000, -1))
    for trials in (sparse, dense):
        used = embeddings[: len(trials.utterances)]
        print_time(f"cosine_scores, {len(trials):,} trials", cosine_scores, used, trials)
    with tempfile.TemporaryDirectory() as folder:
        print_list_rows(Path(folder), sparse, cosine_scores(embeddings[:NUM_UTTERANCES], sparse))


def print_list_rows(folder, trials, scores):
    paths = folder / "clients.txt", folder / "impostors.txt"
    for path, wanted in zip(paths, (True, False), strict=True):
        rows = np.flatnonzero(trials.is_client == wanted)
        names = trials.utterances
        path.write_text(
            "".join(f"{names[trials.enrol[i]]} {names[trials.test[i]]}\n" for i in rows)
        )
    print_time(f"read_trials, {len(trials):,} trials", read_trials, *paths)
    print_time(f"write_scores, {len(trials):,}", write_scores, folder / "s.txt", trials, scores)
    print_time(f"read_scores, {len(trials):,}", read_scores, folder / "s.txt")
    print_time(f"summarise, {len(trials):,}", summarise, scores, trials.is_client)


def make_trials(utterances, enrol, test):
    is_client = np.arange(len(enrol)) % 2 == 0
    indices = enrol.astype(np.int32), test.astype(np.int32)
    return Trials(utterances, *indices, is_client, [("trials.txt", 1)] * len(utterances))


def seconds(function, *arguments, repeats=3):
    """The shortest time of some calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


def with_ratio(time_taken, reference):
    return f"{time_taken:>12.4f} ({time_taken / reference:>6.1f}x)"


def print_time(title, function, *arguments):
    print(f"{title:<36}{seconds(function, *arguments):>10.4f}", flush=True)


def peak_gigabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
