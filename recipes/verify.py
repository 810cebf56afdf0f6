#!/usr/bin/env python3
"""Scores verification trials with a trained model, and evaluates the scores.

    python recipes/verify.py hparams/verify.yaml --model_dir DIR [--key value ...]

    python recipes/verify.py hparams/verify.yaml --model_dir DIR --trials LIST [--trials LIST ...]

    python recipes/verify.py hparams/verify.yaml --scores FILE [--scores FILE ...]

    torchrun --standalone --nproc_per_node=4 recipes/verify.py hparams/verify.yaml ...

Each utterance is embedded once; after an interruption, the same command goes on. With --scores,
nothing is embedded: score files give figures, pictures and a report in seconds, and several files
are compared. --keep_embeddings True keeps embeddings for the next run with this setting, and
--keep_calibration True has the model decide (recipes/compare.py) as these trials say it should.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "verify.yaml")

import logging
import os
import shlex

from local.atomic import lock_folder, remove_leftovers
from local.data.manifest_files import read_manifest
from local.data.manifests import prepare_trials
from local.embeddings.embed import write_crops
from local.embeddings.kept import Computation, embed_or_raise
from local.embeddings.shards import removing
from local.errors import InputError
from local.evaluation import calibration
from local.evaluation.conditions import Grouping
from local.evaluation.decision import of_calibration, of_trials, write_decision
from local.evaluation.evaluate import Evaluator
from local.evaluation.summary import Costs
from local.lists.speaker_table import read_speaker_table
from local.machine import processes, runtime
from local.model_files.model_dir import load_model, weight_files
from local.report.outputs import format_results, write_outputs
from local.scoring.cohort import choose_cohort
from local.scoring.cosine import group_means
from local.scoring.systems import Cohort, System
from local.scoring.trial_lists import read_trial_lists, score_lists
from local.scoring.trial_scores import (
    MANIFEST_FILE,
    read_trial_scores,
    with_warnings,
    write_trial_scores,
)
from local.settings.arguments import as_tuple

# In the output directory, until everything else is there.
PARTIAL = "embeddings.partial"


def load(model_dir, is_default):
    """The model of a directory; a missing default model is told how to train it."""
    if is_default and not weight_files(model_dir):
        files = ROOT / "recipes" / "train_vgg.py", ROOT / "hparams" / "vgg.yaml"
        command = shlex.join(["python", *map(os.path.relpath, files)])
        raise InputError(f"{model_dir}: there is no model here; train it with: {command}")
    model = load_model(model_dir)
    model["extractor"].fold()
    return model


def prepare(hparams, sample_rate, output_dir, progress):
    """Reads the trials, checks their audio, and writes the manifests of utterances, cohort, crops.

    Returns the local.scoring.trial_lists.TrialLists and, if there are crops, the number of them of
    each utterance.
    """
    pairs = hparams["valid_clients"], hparams["valid_impostors"]
    trial_lists = read_trial_lists(hparams["trials"], *pairs, hparams["enrol_models"], output_dir)
    lock_folder(output_dir / PARTIAL)
    manifest = prepare_trials(
        trial_lists.merged,
        hparams["valid_data_dir"],
        output_dir / MANIFEST_FILE,
        sample_rate=sample_rate,
        min_seconds=hparams["min_seconds"],
        progress=progress,
    )
    if system_of(hparams).needs_cohort():
        choose_cohort(hparams["cohort"], output_dir / "cohort.csv", hparams["cohort_size"])
    crop_counts = None
    if hparams["num_crops"]:
        size = hparams["num_crops"], hparams["crop_seconds"]
        crop_counts = write_crops(manifest.path, output_dir / "crops.csv", *size)
    return trial_lists, crop_counts


def system_of(hparams):
    """The System that the settings describe."""
    return System(**{name: hparams[name] for name in System._fields})


def embed(hparams, model, manifest_path, run_opts, places=None):
    """The embeddings of a manifest, in the first process: see `embed_or_raise`."""
    settings = hparams["precision"], hparams["batch_seconds"], hparams["num_workers"]
    computation = Computation(run_opts.device, *settings, not run_opts.noprogressbar)
    partial, kept = manifest_path.with_name(PARTIAL), None
    if hparams["keep_embeddings"]:
        kept = Path(hparams["model_dir"]) / "embeddings"
    return embed_or_raise(model, manifest_path, partial, computation, places, kept)


def score(hparams, model, output_dir, run_opts):
    """Scores the trials, and writes the scores.

    Returns, for each list of trials, its TrialScores (none but in the first process), and the Path
    of the folder of its results.
    """
    trial_lists, crop_counts = processes.on_first(
        lambda: prepare(hparams, model["sample_rate"], output_dir, not run_opts.noprogressbar)
    )
    system, cohort, is_whole = system_of(hparams), None, crop_counts is None
    name, places = (MANIFEST_FILE, trial_lists.merged.places) if is_whole else ("crops.csv", None)
    embeddings = embed(hparams, model, output_dir / name, run_opts, places)
    if system.needs_cohort():
        manifest = output_dir / "cohort.csv"
        cohort = embed(hparams, model, manifest, run_opts)
        cohort = Cohort(cohort, [row["spk_id"] for row in read_manifest(manifest)])
    folders = [trial_list.folder for trial_list in trial_lists.lists]
    if embeddings is None:
        return [], folders
    if not is_whole:
        embeddings = group_means(embeddings, crop_counts)
    systems = score_lists(system, trial_lists, embeddings, output_dir / MANIFEST_FILE, cohort)
    systems = with_warnings(systems, folders, hparams["model_dir"], model["trials_digest"])
    for system, folder in zip(systems, folders, strict=True):
        write_trial_scores(folder, system)
    return systems, folders


def evaluator_of(hparams, progress):
    """The Evaluator that the settings describe, checked."""
    table = hparams["speaker_table"]
    costs = Costs(as_tuple(hparams["p_targets"]), hparams["c_miss"], hparams["c_false_alarm"])
    grouping = Grouping(
        read_speaker_table(table) if table else {},
        hparams["group_edges"] or {},
        as_tuple(hparams["duration_edges"]),
    )
    evaluator = Evaluator(
        costs, hparams["bootstrap_draws"], grouping, hparams["speakers"], progress
    )
    evaluator.check()
    return evaluator


def results_dir(hparams):
    """The Path of output_dir, or its default."""
    if hparams["output_dir"]:
        return Path(hparams["output_dir"])
    if not hparams["scores"]:
        return Path(hparams["model_dir"]) / "verification"
    path, *others = hparams["scores"]
    return Path("results/comparison") if others else Path(path).parent


def check_settings(hparams, output_dir):
    """Raises an InputError for mistakes that would otherwise show only after the work."""
    system_of(hparams).check()
    if hparams["calibration"] and hparams["scores"]:
        path, *others = hparams["scores"]
        if others:
            raise InputError("calibration: it is for the scores of one system, not of several")
        if Path(path).resolve() == (output_dir / "llrs.txt").resolve():
            raise InputError(f"{path}: would be replaced; give another --output_dir")
    others = system_of(hparams).needs_cohort(), hparams["num_crops"], hparams["enrol_models"]
    others += hparams["scores"], hparams["trials"][1:]
    if hparams["keep_calibration"] and any(others):
        raise InputError(
            "keep_calibration: a model decides by the cosine of two whole recordings: give it with "
            "one list, without PLDA, normalisation, mean subtraction, crops and enrol_models. For "
            "score files, recipes/calibrate.py has it, too"
        )


def scored_systems(hparams, has_default_model, output_dir, run_opts):
    """The systems to evaluate and their folders, as from `score`, and where they are from.

    That is a list of (name, value) rows for the report.
    """
    paths = hparams["scores"]
    if paths:
        if processes.rank() > 0:
            return [], [], []
        systems = read_trial_scores(paths)
        lock_folder(output_dir / PARTIAL)
        remove_leftovers(output_dir)
        return systems, [output_dir], [("Scores", path) for path in paths]
    model = load(hparams["model_dir"], has_default_model)
    systems, folders = score(hparams, model, output_dir, run_opts)
    lists = hparams["trials"] or [f"{hparams['valid_clients']}, {hparams['valid_impostors']}"]
    details = [("Model", model["path"]), *(("Trials", path) for path in lists)]
    if len(folders) > 1:
        details.append(("System", system_of(hparams).describe()))
    return systems, folders, details


def evaluate(hparams, evaluator, learnt, scored, output_dir, has_default_model):
    """Evaluates what `scored_systems` returned, writes the results, and prints them."""
    systems, folders, details = scored
    if learnt:
        pairs = zip(systems, folders, strict=True)
        systems = [calibration.calibrate(learnt, s, folder / "llrs.txt") for s, folder in pairs]
        details.append(("Calibration", hparams["calibration"]))
    is_calibrated = bool(learnt) or hparams["are_llrs"]
    evaluations = [evaluator.evaluate(system, is_calibrated) for system in systems]
    # Score files say nothing about a model.
    has_model = not (hparams["scores"] and has_default_model)
    training_log = Path(hparams["model_dir"]) / "train_log.txt" if has_model else None
    outputs = output_dir, evaluations, evaluator.costs, details, training_log, folders
    print(format_results(output_dir, evaluations, write_outputs(*outputs)))
    if hparams["keep_calibration"]:
        decision = of_calibration(learnt) if learnt else of_trials(scored[0][0], folders[0])
        print(f"Decision: {write_decision(load_model(hparams['model_dir']), decision)}")


def main(arguments):
    """Scores trials, or reads scores, and evaluates them."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _, hparams, run_opts, overrides = command_line.load_hparams(arguments, ["scores", "trials"])
    for name in ("scores", "trials"):
        hparams[name] = as_tuple(hparams[name])
    output_dir = results_dir(hparams)
    check_settings(hparams, output_dir)
    evaluator = evaluator_of(hparams, progress=not run_opts.noprogressbar)
    learnt = calibration.load(hparams["calibration"]) if hparams["calibration"] else None
    run_opts = processes.join_processes(run_opts)
    runtime.keep_freed_memory(run_opts.device)
    is_default = "model_dir" not in overrides
    with removing(output_dir / PARTIAL):  # which locks out other runs, too
        scored = scored_systems(hparams, is_default, output_dir, run_opts)
        if processes.rank() == 0:
            evaluate(hparams, evaluator, learnt, scored, output_dir, is_default)


if __name__ == "__main__":
    command_line.run(main)
