"""A model's scores, or score files, to scored trials with what is known of their utterances."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from local.atomic import read_text, replacing
from local.data.manifest_files import read_manifest
from local.data.overlap import overlap_warnings
from local.errors import InputError
from local.lists.trials import Trials
from local.scoring.quality import read_quality, write_quality
from local.scoring.score_files import read_scores, write_scores

SCORE_FILE = "scores.txt"
# Beside a score file lie the manifest of its utterances, and their quality measures.
MANIFEST_FILE = "utterances.csv"
QUALITY_FILE = "quality.txt"
# And why figures of these scores may be better than they should be, a reason a line.
WARNINGS_FILE = "warnings.txt"
CHOSEN = (
    "These trials chose the model: of all models of its training, it is the one with the lowest "
    "EER on them. The figures are optimistic: on other trials, expect more errors."
)


class TrialScores(NamedTuple):
    """Scored trials of a system."""

    name: str
    trials: Trials
    scores: np.ndarray  # float32 (num_trials,)
    quality: dict  # of the sides, from `local.scoring.quality.read_quality`; may be empty
    audio: dict  # the name of a side -> a list of paths of its audio, as far as they are known
    # For each side, the name of an utterance of its speaker: a model's is one that enrolled it.
    examples: list
    warnings: tuple = ()  # why figures may mislead


def read_trial_scores(paths):
    """Reads a list of score files, and what `recipes/verify.py` has written beside each.

    Returns
    -------
    systems : list of TrialScores
        They are named by what their paths differ in.

    Raises
    ------
    InputError
        If a file can't be read, is wrong, or is given twice.
    """
    if len(set(paths)) < len(paths):
        raise InputError(f"scores: a file is given twice: {', '.join(paths)}")
    for path in paths:
        refuse_folder(path)
    names = distinct_names(paths)
    return [_read(name, Path(path)) for name, path in zip(names, paths, strict=True)]


def refuse_folder(path):
    """Raises an InputError if a folder stands in place of a score file."""
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder: give the score file in it, such as scores.txt")


def _read(name, path):
    trials, scores = read_scores(path)
    quality, audio = {}, {}
    if path.with_name(QUALITY_FILE).is_file():
        quality = read_quality(path.with_name(QUALITY_FILE), trials.utterances)
    if path.with_name(MANIFEST_FILE).is_file():
        audio = {row["ID"]: [row["wav"]] for row in read_manifest(path.with_name(MANIFEST_FILE))}
    warnings = ()
    if path.with_name(WARNINGS_FILE).is_file():
        warnings = tuple(read_text(path.with_name(WARNINGS_FILE)).splitlines())
    return TrialScores(name, trials, scores, quality, audio, trials.utterances, warnings)


def write_trial_scores(folder, scored):
    """Writes TrialScores into a folder, but for their audio: `read_trial_scores` reads them."""
    write_scores(folder / SCORE_FILE, scored.trials, scored.scores)
    write_quality(folder / QUALITY_FILE, scored.trials.utterances, scored.quality)
    path = folder / WARNINGS_FILE
    path.unlink(missing_ok=True)
    if scored.warnings:
        with replacing(path) as temporary:
            temporary.write_text("".join(f"{w}\n" for w in scored.warnings), encoding="utf-8")


def from_model(name, enrolment, scores, rows, cohort_means=None):
    """The TrialScores of a model, with what the manifest of its utterances says.

    Arguments
    ---------
    name : str
    enrolment : local.lists.enrolment.Enrolment
    scores : np.ndarray
        float32 (num_trials,)
    rows : list of dict
        Of the manifest, for `enrolment.utterances`.
    cohort_means : np.ndarray, optional
        float32 (num_sides,)
    """
    seconds, audio, examples = [], [], []
    for members in enrolment.members:
        seconds.append(sum(float(rows[index]["duration"]) for index in members))
        audio.append([rows[index]["wav"] for index in members])
        examples.append(enrolment.utterances[members[0]])
    quality = {"seconds": np.array(seconds)}
    if cohort_means is not None:
        quality["cohort_mean"] = cohort_means
    audio = dict(zip(enrolment.trials.utterances, audio, strict=True))
    return TrialScores(name, enrolment.trials, scores, quality, audio, examples)


def with_warnings(systems, folders, model_dir, trials_digest):
    """TrialScores of a model with what may make their figures look better than they should.

    Arguments
    ---------
    systems : list of TrialScores
        On different trials.
    folders : list of Path
        For each, where the manifest of its utterances is.
    model_dir : str or Path
    trials_digest : str or None
        That of the trials that chose the model, from `local.lists.trials.Trials.digest`.
    """
    manifest_paths = [folder / MANIFEST_FILE for folder in folders]
    training, validation = (Path(model_dir, "manifests", f"{n}.csv") for n in ("train", "valid"))
    overlaps = [""] * len(systems)
    if training.is_file():
        overlaps = overlap_warnings(training, manifest_paths)
    found = []
    for scored, path, overlap in zip(systems, manifest_paths, overlaps, strict=True):
        chosen = CHOSEN if scored.trials.digest() == trials_digest else ""
        if not chosen and validation.is_file():
            chosen = _common_recordings(validation, path)
        found.append(scored._replace(warnings=tuple(filter(None, (chosen, overlap)))))
    return found


def _common_recordings(validation, manifest_path):
    own, others = ({row["wav"] for row in read_manifest(p)} for p in (manifest_path, validation))
    if own.isdisjoint(others):
        return ""
    return (
        f"{len(own & others)} of {len(own)} recordings are also in the trials that chose the "
        "model: the figures are optimistic."
    )


def distinct_names(paths):
    """Paths without the beginning and the end that all of them share; one path: its file's name.

    Example
    -------
    >>> distinct_names(["results/a/verification/scores.txt", "results/b/verification/scores.txt"])
    ['a', 'b']
    >>> distinct_names(["results/a/scores.txt"])
    ['scores']
    """
    parts = [Path(path).with_suffix("").parts for path in paths]
    if len(paths) == 1:
        return [parts[0][-1]]
    first = len(os.path.commonprefix(parts))
    last = len(os.path.commonprefix([path[first:][::-1] for path in parts]))
    names = ["/".join(path[first : len(path) - last]) for path in parts]
    # Nothing is left of a path if another one begins with it.
    return [name or str(path) for name, path in zip(names, paths, strict=True)]
