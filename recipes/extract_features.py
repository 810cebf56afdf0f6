#!/usr/bin/env python3
"""Computes the log-mel features of recordings and stores them, a file each.

    python recipes/extract_features.py hparams/vgg.yaml --files LIST [--data_dir DIR] ...

    python recipes/train_vgg.py hparams/vgg.yaml --features stored [--feature_dir DIR] ...

LIST (also `-i LIST`) has a path a line, without extension, looked up below --data_dir; a folder, a
wav.scp or audio files will do, too. Without it, it is the utterances of the label and trial files.
Files go to --feature_dir, or beside the audio. Those that are there are kept: the same command goes
on where it was stopped. Recordings that can't be used are listed at the end.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "vgg.yaml")

from collections import Counter

from local.errors import InputError, Problems
from local.features.extraction import FeatureExtractor, Job, extract_features
from local.features.files import DTYPES, FORMATS
from local.lists.file_lists import MAX_SHOWN, find_recordings
from local.lists.labels import read_labels
from local.lists.trials import read_trials


def find_jobs(files, data_dir, hparams, problems):
    """What there is to do.

    Returns
    -------
    jobs : list of Job
    places : list of tuple
        (path, line) at which each is mentioned.
    """
    if files:
        recordings = find_recordings(files, problems)
        found = in_folder(data_dir, *recordings)
    else:
        found = of_training(hparams)
    target = hparams["feature_dir"], FORMATS[hparams["feature_format"]]
    return [Job.make(*recording, *target) for recording in found], list(found.values())


def of_training(hparams):
    """The utterances of the label and trial files: {(folder, ID, name): place}."""
    labels = read_labels(hparams["train_labels_path"])
    trials = read_trials(hparams["valid_clients"], hparams["valid_impostors"])
    places = [(labels.path, line) for line in labels.lines]
    names = trials.utterances
    found = in_folder(hparams["valid_data_dir"], names, names, trials.places)
    return found | in_folder(hparams["train_data_dir"], labels.names, labels.names, places)


def in_folder(folder, ids, names, places):
    """{(folder, ID, name): place}"""
    return {(folder, *which): place for *which, place in zip(ids, names, places, strict=True)}


def check_settings(hparams):
    """Raises an InputError for what would otherwise be found only while working."""
    for name, choices in (("feature_format", FORMATS), ("feature_dtype", DTYPES)):
        if hparams[name] not in choices:
            raise InputError(f"{name} is {' or '.join(choices)}, not {hparams[name]!r}")


def main(arguments):
    """Extracts the features of a list of recordings."""
    arguments = ["--files" if argument == "-i" else argument for argument in arguments]
    arguments, files = command_line.split_off(arguments, "files", many=True)
    arguments, data_dirs = command_line.split_off(arguments, "data_dir")
    _, hparams, run_opts, _ = command_line.load_hparams(arguments)
    check_settings(hparams)
    problems = Problems(MAX_SHOWN)
    jobs, places = find_jobs(files, [".", *data_dirs][-1], hparams, problems)
    extractor = FeatureExtractor(
        hparams["log_mel"],
        hparams["sample_rate"],
        hparams["min_seconds"],
        hparams["feature_dtype"],
    )
    progress = not run_opts.noprogressbar
    counts = Counter()
    outcomes = extract_features(extractor, jobs, hparams["num_workers"], progress)
    for place, (outcome, problem) in zip(places, outcomes, strict=True):
        counts[outcome] += 1
        if problem:
            problems.add(*place, problem)
    print(f"Features of {counts['written']} recordings written, {counts['kept']} were there.")
    if problems:
        print(f"{len(problems)} failed:", file=sys.stderr)
    problems.raise_if_any()


if __name__ == "__main__":
    command_line.run(main)
