#!/usr/bin/env python3
"""Scores verification trials with a trained model: EER, minDCF, DET plot.

    python recipes/verify.py hparams/verify.yaml --model_dir DIR [--key value ...]

    torchrun --standalone --nproc_per_node=4 recipes/verify.py hparams/verify.yaml ...

Each utterance is embedded once; the score of a trial is the cosine of its two embeddings.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "verify.yaml")

import logging

from local import plots, processes, runtime
from local.embedding import extract_embeddings, utterance_loader
from local.errors import InputError
from local.manifests import prepare_trials
from local.metrics import detection_curve
from local.model_dir import load_model
from local.scoring import cosine_scores, write_scores
from local.summary import P_TARGETS, format_summary, summarise, write_metrics
from local.trials import read_trial_list, read_trials


def make_output_dir(output_dir):
    """Makes the directory, as a Path."""
    path = Path(output_dir)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: can't be made ({error.strerror})") from error
    return path


def embed(hparams, model, manifest_path, device, progress):
    """The embeddings of a manifest, in the first process: see `extract_embeddings`."""
    precision = hparams["precision"]
    loader = utterance_loader(
        manifest_path,
        model["sample_rate"],
        hparams["batch_seconds"],
        runtime.num_reading_workers(hparams["num_workers"], device),
    )
    return extract_embeddings(
        model["features"],
        model["extractor"],
        loader,
        device,
        runtime.fast_precision(device) if precision == "auto" else precision,
        progress,
    )


def write_results(output_dir, trials, scores):
    """Writes scores.txt, metrics.json, det.png and scores.png; returns the summary."""
    curve = detection_curve(scores, trials.is_client)
    summary = summarise(scores, trials.is_client, curve)
    write_scores(output_dir / "scores.txt", trials, scores)
    write_metrics(output_dir / "metrics.json", summary)
    plots.plot_det({"cosine": curve}, output_dir / "det.png", P_TARGETS)
    plots.plot_score_histogram(
        scores, trials.is_client, output_dir / "scores.png", summary["eer_threshold"]
    )
    return summary


def prepare(hparams, sample_rate, progress):
    """Reads the trials, checks their audio, and makes the output directory.

    Returns
    -------
    trials : local.trials.Trials
    manifest : local.manifests.Manifest
        Of their utterances, in the output directory.
    """
    if hparams["trials"]:
        trials = read_trial_list(hparams["trials"])
    else:
        trials = read_trials(hparams["valid_clients"], hparams["valid_impostors"])
    manifest = prepare_trials(
        trials,
        hparams["valid_data_dir"],
        make_output_dir(hparams["output_dir"]) / "utterances.csv",
        sample_rate=sample_rate,
        min_seconds=hparams["min_seconds"],
        progress=progress,
    )
    return trials, manifest


def main(arguments):
    """Reads trials and model, embeds, scores, and prints the summary."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    runtime.keep_freed_memory()
    _, hparams, run_opts, _ = command_line.load_hparams(arguments)
    run_opts = processes.join_processes(run_opts)
    progress = not run_opts.noprogressbar
    model = load_model(hparams["model_dir"])
    trials, manifest = processes.on_first(lambda: prepare(hparams, model["sample_rate"], progress))
    processes.check_shared(manifest.path)
    embeddings = embed(hparams, model, manifest.path, run_opts.device, progress)
    if processes.rank() > 0:
        return
    output_dir = Path(hparams["output_dir"])
    summary = write_results(output_dir, trials, cosine_scores(embeddings, trials))
    print(f"\nModel: {model['path']}\n{format_summary(summary)}")
    print(f"\nScores:   {output_dir / 'scores.txt'}\nMetrics:  {output_dir / 'metrics.json'}")
    print(f"DET plot: {output_dir / 'det.png'}")


if __name__ == "__main__":
    command_line.run(main)
