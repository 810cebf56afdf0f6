"""Trials and a list of models to speaker models that are enrolled from several utterances."""

from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import numpy as np

from local.errors import Problems
from local.lists.columns import read_plain_trials
from local.lists.fields import read_fields
from local.lists.trials import Trials, read_trial_list, read_trials


class Enrolment(NamedTuple):
    """Trials, the utterances to embed for them, and the utterances that make up each side."""

    trials: Trials  # its `utterances` are the sides of trials: models and test utterances
    utterances: list  # the name of each utterance once
    places: list  # (path, line) where each utterance is mentioned first
    members: list  # for each side, the list of the indices of its utterances


def read_enrolment(trials, clients, impostors, models):
    """The Enrolment of the trials in files, of which None stands for those that there are not.

    `trials` is one list, in place of `clients` and `impostors`; without `models`, the first sides
    of the trials are utterances. Raises an InputError for a wrong file.
    """
    if trials:
        trials = read_plain_trials(trials) or read_trial_list(trials)
    else:
        trials = read_trials(clients, impostors)
    return enrol_models(trials, models) if models else single_utterances(trials)


def single_utterances(trials):
    """The Enrolment of trials in which each side is one utterance."""
    members = [[index] for index in range(len(trials.utterances))]
    return Enrolment(trials, trials.utterances, trials.places, members)


def enrol_models(trials, path):
    """Reads the models that the first sides of trials name.

    Arguments
    ---------
    trials : local.lists.trials.Trials
        Each of the name of a model and a test utterance.
    path : str or Path
        `MODEL PATH PATH ...` a line.

    Returns
    -------
    enrolment : Enrolment

    Raises
    ------
    InputError
        If the file is wrong; if a model of the trials isn't in it, has the name of a test
        utterance, or is tested with an utterance that it was enrolled from.
    """
    models = read_models(path)
    used, tested = np.unique(trials.enrol), np.unique(trials.test)
    _check_models(trials, used, models, path)
    utterances = {}  # name -> where it is mentioned first
    sides = [models[trials.utterances[index]] for index in used]
    sides += [(trials.places[index], [trials.utterances[index]]) for index in tested]
    for place, names in sides:
        for name in names:
            utterances.setdefault(name, place)
    number = {name: index for index, name in enumerate(utterances)}
    numbered = replace(
        trials,
        utterances=[trials.utterances[index] for index in (*used, *tested)],
        enrol=np.searchsorted(used, trials.enrol).astype(np.int32),
        test=(len(used) + np.searchsorted(tested, trials.test)).astype(np.int32),
    )
    members = [[number[name] for name in names] for _, names in sides]
    return Enrolment(numbered, list(utterances), list(utterances.values()), members)


def read_models(path):
    """Reads `MODEL PATH PATH ...` lines: name of a model -> ((path, line), its utterances).

    Raises an InputError with all that is wrong with them, such as a name on two lines.
    """
    problems, models = Problems(), {}
    for line, (name, *utterances) in read_fields(path, "MODEL PATH ...", problems):
        if not utterances:
            problems.add(path, line, f"model '{name}' has no utterances")
        elif name in models:
            problems.add(path, line, f"model '{name}' is already on line {models[name][0][1]}")
        elif len(set(utterances)) < len(utterances):
            problems.add(path, line, f"model '{name}' has an utterance twice")
        models.setdefault(name, ((path, line), utterances))
    problems.raise_if_any()
    return models


def _check_models(trials, used, models, path):
    problems = Problems()
    for index in used:
        if trials.utterances[index] not in models:
            name = trials.utterances[index]
            problems.add(*trials.places[index], f"there is no model '{name}' in {path}")
    for index in np.intersect1d(used, trials.test):
        # In a score file the two could not be told apart.
        name = trials.utterances[index]
        problems.add(*trials.places[index], f"'{name}' is a model here, and an utterance elsewhere")
    problems.raise_if_any()
    for enrol, test in np.unique(np.stack([trials.enrol, trials.test], axis=1), axis=0):
        model, utterance = trials.utterances[enrol], trials.utterances[test]
        place, enrolled = models[model]
        if utterance in enrolled:
            problems.add(*place, f"model '{model}' is tested with '{utterance}', which is in it")
    problems.raise_if_any()


def merge(enrolments):
    """The Enrolment of all trials of several, one behind the other, with each utterance once.

    Returns
    -------
    merged : Enrolment
        Without conditions.
    sides : list of np.ndarray
        For each of the enrolments, int (num_sides,): which side of `merged` each of its own is.

    Example
    -------
    >>> def trial(*names):
    ...     return Trials([*names], np.array([0]), np.array([1]), np.array([True]), [("x", 1)] * 2)
    >>> merged, sides = merge(map(single_utterances, [trial("a", "b"), trial("c", "b")]))
    >>> merged.utterances, merged.trials.enrol.tolist(), merged.trials.test.tolist()
    (['a', 'b', 'c'], [0, 2], [1, 1])
    """
    enrolments, places, rows, sides = list(enrolments), {}, {}, []
    for enrolment in enrolments:
        for name, place in zip(enrolment.utterances, enrolment.places, strict=True):
            places.setdefault(name, place)
    number = {name: index for index, name in enumerate(places)}
    for trials, utterances, _, members in enrolments:
        of_list = [number[name] for name in utterances]
        # A side is known by its utterances, too: a model may have the name of one of another list.
        keys = [
            (name, *map(of_list.__getitem__, group))
            for name, group in zip(trials.utterances, members, strict=True)
        ]
        sides.append(np.array([rows.setdefault(key, len(rows)) for key in keys], np.int32))
    numbered = zip([enrolment.trials for enrolment in enrolments], sides, strict=True)
    enrol, test, is_client = zip(
        *((of[trials.enrol], of[trials.test], trials.is_client) for trials, of in numbered),
        strict=True,
    )
    names = [name for name, *_ in rows]
    trials = Trials(names, *map(np.concatenate, (enrol, test, is_client)), [])
    members = [list(group) for _, *group in rows]
    return Enrolment(trials, list(places), list(places.values()), members), sides


def by_utterances(enrolment):
    """Replaces each trial by one for each utterance of its model, whose scores can be averaged.

    Returns
    -------
    trials : local.lists.trials.Trials
        Of utterances, each with the label of the trial that it comes from.
    counts : np.ndarray
        int (num_trials,): how many trials came from each.
    """
    trials = enrolment.trials
    sizes = np.array([len(members) for members in enrolment.members])
    counts = sizes[trials.enrol]
    of_test = np.array([members[0] for members in enrolment.members], np.int32)
    enrol = [enrolment.members[side] for side in trials.enrol]
    expanded = replace(
        trials,
        utterances=enrolment.utterances,
        enrol=np.fromiter(chain.from_iterable(enrol), np.int32, counts.sum()),
        test=np.repeat(of_test[trials.test], counts),
        is_client=np.repeat(trials.is_client, counts),
        places=enrolment.places,
        condition=None,
    )
    return expanded, counts
