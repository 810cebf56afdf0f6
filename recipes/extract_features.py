#!/usr/bin/env python3
"""Computes the log-mel features of recordings and stores them, a file each.

    python recipes/extract_features.py hparams/vgg.yaml --files LIST [--data_dir DIR]
        [--feature_format npy|pickle] [--feature_dtype float16|float32] ...

    python recipes/train_vgg.py hparams/vgg.yaml --train_on features [--feature_dir DIR] ...

LIST (also `-i LIST`) has a path a line, without extension, looked up below --data_dir; it can also
be a folder, a wav.scp or audio files. Without it, the utterances of the label and trial files are
taken. Features go to --feature_dir, or beside the audio, as npy of float16, or as the original's
pickle. Finished files are kept: the same command continues where it was stopped. Recordings that
can't be used are listed at the end.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "vgg.yaml")

import os
from collections import Counter
from contextlib import ExitStack

from local.atomic import locked
from local.corpora import demo
from local.errors import InputError, Problems
from local.features.extraction import FeatureExtractor, Job, clear_up, extract_features
from local.features.files import DTYPES, FORMATS
from local.lists.file_lists import MAX_SHOWN, find_recordings
from local.lists.labels import read_labels
from local.lists.trials import read_trials


def find_in_lists(hparams):
    """The utterances of the label and trial files: {(folder, ID, name): place}."""
    demo.make_if_missing(hparams)
    labels = read_labels(hparams["train_labels_path"])
    trials = read_trials(hparams["valid_clients"], hparams["valid_impostors"])
    places = [(labels.path, line) for line in labels.lines]
    names = trials.utterances
    found = in_folder(hparams["valid_data_dir"], names, names, trials.places)
    return found | in_folder(hparams["train_data_dir"], labels.names, labels.names, places)


def in_folder(folder, ids, names, places):
    """{(folder, ID, name): place}"""
    return {(folder, *which): place for *which, place in zip(ids, names, places, strict=True)}


def split_off_choice(arguments, name, choices):
    """Takes an option out of the arguments; its default is the first choice."""
    arguments, values = command_line.split_off(arguments, name)
    value = [*choices][0] if not values else values[-1]
    if value not in choices:
        raise InputError(f"{name} is {' or '.join(choices)}, not {value!r}")
    return arguments, value


def folders_to_lock(found, feature_dir):
    """The folders that features go to; of recordings with absolute paths, none."""
    if feature_dir is not None:
        return [feature_dir]
    return sorted({folder for folder, _, name in found if not os.path.isabs(name)})


def main(arguments):
    """Extracts the features of a list of recordings."""
    arguments = ["--files" if argument == "-i" else argument for argument in arguments]
    arguments, files = command_line.split_off(arguments, "files", many=True)
    arguments, data_dirs = command_line.split_off(arguments, "data_dir")
    arguments, feature_format = split_off_choice(arguments, "feature_format", FORMATS)
    arguments, dtype = split_off_choice(arguments, "feature_dtype", DTYPES)
    _, hparams, run_opts, _ = command_line.load_hparams(arguments)
    problems = Problems(MAX_SHOWN)
    if files:
        found = in_folder([".", *data_dirs][-1], *find_recordings(files, problems))
    else:
        found = find_in_lists(hparams)
    jobs = [Job.make(*names, hparams["feature_dir"], FORMATS[feature_format]) for names in found]
    extractor = FeatureExtractor(
        hparams["log_mel"], hparams["sample_rate"], hparams["min_seconds"], dtype
    )
    counts = Counter()
    with ExitStack() as stack:
        for folder in folders_to_lock(found, hparams["feature_dir"]):
            stack.enter_context(locked(folder))
        clear_up(jobs)
        outcomes = extract_features(
            extractor, jobs, hparams["num_workers"], not run_opts.noprogressbar
        )
        for place, (outcome, problem) in zip(found.values(), outcomes, strict=True):
            counts[outcome] += 1
            if problem:
                problems.add(*place, problem)
    print(f"Features of {counts['written']} recordings written, {counts['kept']} were there.")
    if problems:
        print(f"{len(problems)} failed:", file=sys.stderr)
    problems.raise_if_any()


if __name__ == "__main__":
    command_line.run(main)
