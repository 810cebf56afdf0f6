"""Whether bf16 costs accuracy: training and evaluation in both formats on real speech."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from made_up import as_arguments
from tables import Row, Table

from local.metrics import eer
from local.score_files import read_scores

ROOT = Path(__file__).resolve().parents[3]
NUM_DRAWS = 1000


def measure(options):
    """The EER of a model trained in each format, evaluated in each, and of all differences.

    The interval is of a bootstrap over the speakers of the trials, which are taken from the
    first folder of each path; both systems see the same draws.
    """
    data = trial_settings(options.data_dir)
    rows, scores = [], {}
    with tempfile.TemporaryDirectory() as name:
        for trained in ("bf16", "fp32"):
            out_dir = Path(name) / trained
            seconds = train(options, data, out_dir, trained)
            rows.append(Row(f"training in {trained}", seconds / 60, "min"))
            for evaluated in ("bf16", "fp32"):
                path = verify(options, data, out_dir, evaluated)
                scores[trained, evaluated] = read_scores(path)
    reference = scores["fp32", "fp32"]
    for (trained, evaluated), system in scores.items():
        trials, values = system
        what = f"EER, trained in {trained}, evaluated in {evaluated}"
        rows.append(Row(what, 100 * eer(values, trials.is_client)[0], "%"))
        if system is not reference:
            rows.append(difference(system, reference))
    return Table("Accuracy in bf16 and float32", rows, "Differences are to float32 throughout.")


def trial_settings(data_dir):
    audio = str(data_dir / "audio")
    return {
        "valid_data_dir": audio,
        "valid_clients": str(data_dir / "dev_clients.txt"),
        "valid_impostors": str(data_dir / "dev_impostors.txt"),
    }


def train(options, data, out_dir, precision):
    """Trains hparams/vgg.yaml; returns the seconds that it took."""
    settings = data | {
        "train_data_dir": data["valid_data_dir"],
        "train_labels_path": str(options.data_dir / "train_labels.txt"),
        "out_dir": str(out_dir),
        "precision": precision,
        "eval_precision": precision,
        "device": options.device,
    }
    if options.quick:
        settings |= {"width": "8", "number_of_epochs": "1", "validate_every": "2"}
    start = time.perf_counter()
    run("train_vgg.py", "vgg.yaml", settings)
    return time.perf_counter() - start


def verify(options, data, model_dir, precision):
    """Verifies with the best model; returns the path of the scores."""
    output_dir = model_dir / f"verified_{precision}"
    settings = data | {
        "model_dir": str(model_dir),
        "output_dir": str(output_dir),
        "precision": precision,
        "device": options.device,
    }
    run("verify.py", "verify.yaml", settings)
    return output_dir / "scores.txt"


def run(script, settings_file, settings):
    paths = [str(ROOT / "recipes" / script), str(ROOT / "hparams" / settings_file)]
    subprocess.run(
        [sys.executable, *paths, *as_arguments(settings)], check=True, capture_output=True
    )


def difference(system, reference):
    """A row: the difference of two EERs, and whether its interval holds zero."""
    trials, scores = system
    is_client, others = trials.is_client, reference[1]
    differences = [
        100 * (weighted_eer(scores, is_client, draw) - weighted_eer(others, is_client, draw))
        for draw in speaker_draws(trials)
    ]
    low, high = np.percentile(differences, (2.5, 97.5))
    here = 100 * (eer(scores, is_client)[0] - eer(others, is_client)[0])
    target = f"interval {low:+.2f} to {high:+.2f} holds 0"
    return Row("difference", here, "points", target=target, met=bool(low <= 0.0 <= high))


def speaker_draws(trials):
    """How often each trial counts, in draws of the speakers with replacement."""
    speakers = np.array([path.split("/")[0] for path in trials.utterances])
    names, speaker = np.unique(speakers, return_inverse=True)
    enrol, test = speaker[trials.enrol], speaker[trials.test]
    rng = np.random.default_rng(0)
    for _ in range(NUM_DRAWS):
        counts = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        yield np.where(enrol == test, counts[enrol], counts[enrol] * counts[test])


def weighted_eer(scores, is_client, times):
    return eer(np.repeat(scores, times), np.repeat(is_client, times))[0]
