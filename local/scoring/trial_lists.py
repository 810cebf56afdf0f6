"""Trial lists to scores that are computed at once, and kept in a folder for each list."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from local.atomic import writing
from local.data.manifest_files import read_manifest, write_manifest
from local.errors import InputError
from local.lists.enrolment import Enrolment, merge, read_enrolment
from local.scoring.trial_scores import MANIFEST_FILE, distinct_names, from_model


class TrialList(NamedTuple):
    """A list of trials, and where its results go."""

    name: str
    folder: Path
    enrolment: Enrolment


class TrialLists(NamedTuple):
    """Lists, and what all of them need."""

    lists: list  # of TrialList
    merged: Enrolment  # of all trials, from `local.lists.enrolment.merge`
    sides: list  # of np.ndarray: for each list, which sides of `merged` its own are


def read_trial_lists(paths, clients, impostors, models, output_dir):
    """The TrialLists of some paths, or of the client and impostor file if there are none.

    One list has its results in output_dir, several in folders of their names there. Raises an
    InputError for wrong files, see `local.lists.enrolment.read_enrolment`.
    """
    names = list_names(paths) if len(paths) > 1 else [""]
    lists = [
        TrialList(name, output_dir / name, read_enrolment(path, clients, impostors, models))
        for name, path in zip(names, paths or [None], strict=True)
    ]
    return TrialLists(lists, *merge([trial_list.enrolment for trial_list in lists]))


def list_names(paths):
    """The names of lists: those of their files or, where these are the same, more of the paths.

    Raises an InputError if a list is given twice.

    Example
    -------
    >>> list_names(["lists/vox1_o.txt", "lists/vox1_e.txt"])
    ['vox1_o', 'vox1_e']
    >>> list_names(["lists/a/trials.txt", "lists/b/trials.txt"])
    ['a', 'b']
    """
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise InputError(f"trials: a list is given twice: {', '.join(paths)}")
    names = [Path(path).stem for path in paths]
    if len(set(names)) < len(names):
        names = distinct_names([os.path.abspath(path) for path in paths])
        names = [name.strip("/").replace("/", "_") for name in names]
    if len(set(names)) < len(names):
        raise InputError(f"trials: rename a list, as these have one name: {', '.join(paths)}")
    return names


def score_lists(system, trial_lists, embeddings, manifest_path, cohort=None):
    """Scores the trials of all lists, and gives each folder the manifest of its utterances.

    Arguments
    ---------
    system : local.scoring.systems.System
    trial_lists : TrialLists
    embeddings : np.ndarray
        float32 (num_utterances, embedding_size), of `merged.utterances`.
    manifest_path : Path
        Of these.
    cohort : local.scoring.systems.Cohort, optional

    Returns
    -------
    scored : list of local.scoring.trial_scores.TrialScores
        Of each list, with its name; a single one has that of the system.
    """
    lists, merged, sides = trial_lists
    scores, means = system.score(merged, embeddings, cohort)
    ends = np.cumsum([len(trial_list.enrolment.trials) for trial_list in lists])
    parts = np.split(scores, ends[:-1])
    row_of = {row["ID"]: row for row in read_manifest(manifest_path)}
    scored = []
    for (name, folder, enrolment), part, of_list in zip(lists, parts, sides, strict=True):
        rows = [row_of[utterance] for utterance in enrolment.utterances]
        if len(lists) > 1:
            with writing(folder):
                folder.mkdir(exist_ok=True)
            write_manifest(folder / MANIFEST_FILE, rows)
        of_sides = None if means is None else means[of_list]
        scored.append(from_model(name or system.describe(), enrolment, part, rows, of_sides))
    return scored
