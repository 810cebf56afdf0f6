"""CN-Celeb on a disk to the utterances to train on, and to the trials of CN-Celeb.Eval."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from local.audio.finding import find_file
from local.corpora.missing import describe, some
from local.corpora.parts import Part
from local.corpora.trees import read_tree, recordings
from local.errors import InputError, Problems
from local.lists.fields import read_fields

SPEAKER = r"id\d{5}"
# The files by which the folders are known, and speakers and utterances, as published.
FIRST_FILE, FIRST = "dev/dev.lst", (797, 107_953)
SECOND_FILE, SECOND = "spk.lst", (1_996, 524_787)
NUM_TRIALS = 3_484_292
_MAX_DEPTH = 3


class Evaluation(NamedTuple):
    """The trials of CN-Celeb.Eval; names are below the folder of CN-Celeb1."""

    trials: list  # of (label, model, name of the test recording), the label "1" or "0"
    models: dict  # model -> list of the names of its recordings
    speakers: dict  # model or name of a test recording -> speaker


def find_folders(folder):
    """The folders of CN-Celeb1 and CN-Celeb2 at a place or below it; None for what is not there.

    Raises an InputError if neither is there.
    """
    found = {FIRST_FILE: None, SECOND_FILE: None}
    to_read = [(Path(folder), 0)]
    while to_read:
        place, depth = to_read.pop(0)
        is_corpus = False
        for name in found:
            if (place / name).is_file() and (place / "data").is_dir():
                found[name], is_corpus = found[name] or place, True
        if depth < _MAX_DEPTH and not is_corpus and place.is_dir():
            subfolders = sorted(path for path in place.iterdir() if path.is_dir())
            to_read += [(path, depth + 1) for path in subfolders]
    if not any(found.values()):
        raise InputError(
            f"{folder}: is no CN-Celeb: there is neither a folder with data and {FIRST_FILE} "
            f"(CN-Celeb1) nor one with data and {SECOND_FILE} (CN-Celeb2)"
        )
    return found[FIRST_FILE], found[SECOND_FILE]


def read_training(first, second, problems):
    """The Parts to train on: the speakers of dev.lst and spk.lst. `problems` gets what is missing.

    `first` and `second` are the folders of CN-Celeb1 and CN-Celeb2, or None.
    """
    parts = []
    for folder, file, published in ((first, FIRST_FILE, FIRST), (second, SECOND_FILE, SECOND)):
        if folder:
            parts.append(_read_part(folder, file, published, problems))
    return parts


def _read_part(folder, file, published, problems):
    """The utterances of the speakers that a list of a corpus names."""
    faults = Problems()
    speakers = {}
    for line, (speaker,) in read_fields(folder / file, "SPEAKER", faults):
        if not re.fullmatch(SPEAKER, speaker):
            faults.add(folder / file, line, f"'{speaker}' is no speaker such as id00012")
        speakers[speaker] = None
    faults.raise_if_any()
    readable = read_tree(folder / "data", SPEAKER, 0, lambda s, _: s in speakers).readable
    lacking = [speaker for speaker in speakers if speaker not in readable]
    if lacking:
        problems.append(f"{folder / file}: there is nothing in data of {some(lacking)}")
    numbers = {speaker: len(names) for speaker, names in readable.items()}
    problems += describe(f"{folder / file}", numbers, published)
    return Part(folder, {s: [f"data/{name}" for name in own] for s, own in readable.items()})


def read_evaluation(folder, enrol, problems):
    """The Evaluation of CN-Celeb1; `problems` gets what is missing.

    Arguments
    ---------
    folder : Path
    enrol : str
        "map" or "lst": the file of eval/lists/ that says what models are enrolled from.
    problems : list of str

    Trials of models or recordings that are not all on the disk are left out. Raises an InputError
    if a list can't be read or is wrong, or no trials of both kinds are left.
    """
    lists = folder / "eval" / "lists"
    models = _read_models(folder, lists / f"enroll.{enrol}", problems)
    trials = _read_trials(folder, lists / "trials.lst", models, problems)
    used = {model: models[model] for _, model, _ in trials}
    sides = [*used, *dict.fromkeys(test for _, _, test in trials)]
    return Evaluation(trials, used, {side: os.path.basename(side).split("-")[0] for side in sides})


def _read_trials(folder, path, models, problems):
    on_disk = {name for name, _ in recordings(f"{folder}/eval/test", levels=0)}
    faults, tests, trials, num_read = Problems(), {}, [], 0
    for line, (model, test, label) in read_fields(path, "MODEL PATH LABEL", faults):
        num_read += 1
        if label not in ("0", "1") or model not in models:
            faults.add(path, line, f"'{model} {test} {label}': no such model, or no label 0 or 1")
            continue
        if test not in tests:
            stem = os.path.splitext(os.path.basename(test))[0]
            tests[test] = f"eval/test/{stem}" if stem in on_disk else None
        if tests[test] and models[model]:
            trials.append((label, model, tests[test]))
    faults.raise_if_any()
    missing = [test for test, name in tests.items() if not name]
    if num_read != NUM_TRIALS:
        problems.append(f"{path}: has {num_read:,} trials, but {NUM_TRIALS:,} are published")
    if missing:
        message = f"{len(missing):,} test recordings are not there: {some(missing)}"
        problems.append(f"{folder / 'eval'}: {message}")
    if len({label for label, _, _ in trials}) < 2:
        raise InputError(f"{path}: there are no client and impostor trials of what is there")
    return trials


def _read_models(folder, path, problems):
    """Model -> names of its recordings, none if one of them is missing.

    A line of enroll.map has recordings below data/, one of enroll.lst a recording below eval/.
    The paths end in .wav, whatever the files on the disk are.
    """
    faults, models, missing = Problems(), {}, []
    for line, (model, *entries) in read_fields(path, "MODEL PATH ...", faults):
        if model in models or not entries:
            faults.add(path, line, f"model '{model}' is there twice, or has no recordings")
        names = ["/".join(os.path.splitext(entry)[0].split("/")[-2:]) for entry in entries]
        places = [f"data/{name}" if path.suffix == ".map" else f"eval/{name}" for name in names]
        lacking = [place for place in places if not find_file(folder, place)]
        missing += lacking
        models[model] = [] if lacking else places
    faults.raise_if_any()
    if missing:
        problems.append(f"{path}: {len(missing):,} recordings are not there: {some(missing)}")
    return models
