"""Whether bf16 costs accuracy: training and evaluation in both formats on real speech."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from made_up import as_arguments
from tables import Row, Table

from local.evaluation.evaluate import Evaluator, difference
from local.scoring.trial_scores import read_trial_scores

ROOT = Path(__file__).resolve().parents[3]


def measure(options):
    """The EER of a model trained in each format, evaluated in each, and of all differences.

    The intervals are those of verification: of draws of the speakers.
    """
    data = trial_settings(options.data_dir)
    rows, systems = [], {}
    with tempfile.TemporaryDirectory() as name:
        for trained in ("bf16", "fp32"):
            out_dir = Path(name) / trained
            seconds = train(options, data, out_dir, trained)
            rows.append(Row(f"training in {trained}", seconds / 60, "min"))
            for evaluated in ("bf16", "fp32"):
                path = verify(options, data, out_dir, evaluated)
                (scores,) = read_trial_scores([path])
                systems[trained, evaluated] = Evaluator().evaluate(scores)
    reference = systems["fp32", "fp32"]
    for (trained, evaluated), system in systems.items():
        what = f"EER, trained in {trained}, evaluated in {evaluated}"
        rows.append(Row(what, system.summary["eer_percent"], "%"))
        if system is not reference:
            rows.append(difference_row(system, reference))
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


def difference_row(system, reference):
    """The difference of two EERs, and whether its interval holds zero."""
    found = difference(system, reference)["eer_percent"]
    low, high = found["interval"]
    target = f"interval {low:+.2f} to {high:+.2f} holds 0"
    met = low <= 0.0 <= high
    return Row("difference", found["difference"], "points", target=target, met=met)
