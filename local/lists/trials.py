"""Text files to trials: pairs of utterances of one speaker (clients) or of two (impostors)."""

import hashlib
import logging
import os
from array import array
from dataclasses import dataclass, field, replace

import numpy as np

from local.audio.recordings import utterance_name
from local.errors import Problems
from local.lists.fields import read_fields

logger = logging.getLogger(__name__)

VOXCELEB_LABELS = {"1": True, "0": False}
KALDI_LABELS = {"target": True, "nontarget": False}
_WITH_ARTICLE = {True: "a client", False: "an impostor"}


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials as indices into the list of their utterances."""

    utterances: list  # the name of each once, in the order in which the files mention them
    # int32 (num_trials,): the two sides of each trial, as indices into `utterances`.
    enrol: np.ndarray
    test: np.ndarray
    is_client: np.ndarray  # bool (num_trials,): True where both sides are one speaker
    places: list  # (path, line) where each utterance is mentioned first
    condition_names: list = field(default_factory=list)  # each once
    # int32 (num_trials,): that of each trial, as an index into `condition_names`; None if the
    # files name none.
    condition: np.ndarray | None = None

    def __len__(self):
        return len(self.is_client)

    def subset(self, trials):
        """Some of the trials, by a mask or by indices; the list of utterances stays the same.

        Example
        -------
        >>> trials = Trials(["a", "b"], *np.array([[0, 0], [0, 1]]), np.array([True, False]), [])
        >>> trials.subset(trials.is_client).test
        array([0])
        """
        fields = {name: getattr(self, name)[trials] for name in ("enrol", "test", "is_client")}
        condition = None if self.condition is None else self.condition[trials]
        return replace(self, **fields, condition=condition)

    def digest(self):
        """A short text that is the same for the same trials, by which lists are recognised.

        The order of trials and of their two sides does not matter, nor do extensions of names.

        Example
        -------
        >>> sides, is_client = np.array([[0, 0], [1, 2]]), np.array([True, False])
        >>> trials = Trials(["a", "b", "c"], *sides, is_client, [])
        >>> others = Trials(["c.wav", "a.wav", "b.wav"], *((sides[::-1] + 1) % 3), is_client, [])
        >>> trials.digest() == others.digest() != trials.subset(~is_client).digest()
        True
        """
        used = np.union1d(self.enrol, self.test)
        names = [utterance_name(os.path.normpath(self.utterances[index])) for index in used]
        names, ranks = np.unique(names, return_inverse=True)
        sides = [ranks[np.searchsorted(used, side)] for side in (self.enrol, self.test)]
        trials = 2 * (np.minimum(*sides) * len(names) + np.maximum(*sides)) + self.is_client
        # A sum of well-mixed numbers (those of splitmix64), as sorting takes 20 times as long.
        mixed = trials.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return hashlib.sha256("\n".join([*names, f"{mixed.sum()}"]).encode()).hexdigest()


def read_trials(clients_path, impostors_path):
    """Reads a file of client and one of impostor trials, `PATH PATH` a line.

    The lines may end with a condition as a third field: on all lines of both files, or on none.

    Arguments
    ---------
    clients_path, impostors_path : str or Path

    Returns
    -------
    trials : Trials
        The clients, then the impostors, each in the order of their file.

    Raises
    ------
    InputError
        If a file or a line is wrong, if only one of the files has conditions, if both sides of a
        trial are one utterance, or if a pair is a client and an impostor trial. Repeated pairs
        only cause a warning.
    """
    problems = Problems()
    if os.path.realpath(clients_path) == os.path.realpath(impostors_path):
        problems.add(clients_path, None, "is given as the client file and as the impostor file")
        problems.raise_if_any()
    table = TrialTable({True: clients_path, False: impostors_path})
    for is_client, path in table.paths.items():
        for line, fields in read_fields(path, "PATH PATH [CONDITION]", problems):
            table.add(line, is_client, *fields)
    return table.checked(problems)


def read_trial_list(path):
    """Reads client and impostor trials from one file.

    A line is `1 PATH PATH` or `0 PATH PATH` (as VoxCeleb's lists), or `PATH PATH target` or
    `PATH PATH nontarget` (as Kaldi's), and may end with a condition as a fourth field. The first
    line decides what the file has.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    trials : Trials
        In the order of the file.

    Raises
    ------
    InputError
        As `read_trials`; also if a label is unknown or if all trials are of one class.
    """
    problems = Problems()
    table = TrialTable({True: path, False: path})
    is_kaldi = None
    for line, fields in read_fields(path, "LABEL PATH PATH [CONDITION]", problems):
        if is_kaldi is None:
            is_kaldi = fields[2] in KALDI_LABELS
        labels = KALDI_LABELS if is_kaldi else VOXCELEB_LABELS
        label = fields.pop(2 if is_kaldi else 0)
        if label in labels:
            table.add(line, labels[label], *fields)
        elif is_kaldi:
            problem = "is neither 'target' nor 'nontarget', as on the first line"
            problems.add(path, line, f"label '{label}' {problem}")
        else:
            problem = "is neither 1 nor 0 (a line is '1 PATH PATH' or 'PATH PATH target')"
            problems.add(path, line, f"label '{label}' {problem}")
    return table.checked(problems)


class TrialTable:
    """Collects trials and their lines while they are read, and checks them at the end."""

    def __init__(self, paths):
        self.paths = paths  # the file of the clients (True) and of the impostors (False)
        self.indices = {}
        self.conditions = {}  # with None as a key if a file names no condition
        self.places = []
        self.enrol, self.test, self.lines = array("i"), array("i"), array("i")
        self.is_client, self.condition = array("b"), array("i")

    def add(self, line, is_client, enrol, test, condition=None):
        """Adds a trial of two names, and its condition if the file names one."""
        place = (self.paths[is_client], line)
        self.enrol.append(self._index(enrol, place))
        self.test.append(self._index(test, place))
        self.condition.append(self.conditions.setdefault(condition, len(self.conditions)))
        self.is_client.append(is_client)
        self.lines.append(line)

    def _index(self, name, place):
        index = self.indices.setdefault(name, len(self.places))
        if index == len(self.places):
            self.places.append(place)
        return index

    def place(self, trial):
        return self.paths[bool(self.is_client[trial])], self.lines[trial]

    def trials(self):
        """What was added, without checks."""
        has_conditions = None not in self.conditions
        return Trials(
            utterances=list(self.indices),
            enrol=np.array(self.enrol, dtype=np.int32),
            test=np.array(self.test, dtype=np.int32),
            is_client=np.array(self.is_client, dtype=bool),
            places=self.places,
            condition_names=list(self.conditions) if has_conditions else [],
            condition=np.array(self.condition, dtype=np.int32) if has_conditions else None,
        )

    def checked(self, problems):
        """The trials, or an InputError with the problems given and those found here."""
        trials = self.trials()
        self._check_conditions(problems)
        _check_sides(trials, self.place, problems)
        earlier = earlier_trials(trials)
        _check_conflicts(trials, earlier, self.place, problems)
        if not problems and len(set(self.is_client)) == 1:
            name = "client" if self.is_client[0] else "impostor"
            message = f"has only {name} trials: both classes are needed"
            problems.add(self.paths[True], None, message)
        problems.raise_if_any()
        warn_of_repeats(earlier, self.place)
        return trials

    def _check_conditions(self, problems):
        if None in self.conditions and len(self.conditions) > 1:
            without = self.condition.index(self.conditions[None])
            other = self.paths[not self.is_client[without]]
            message = f"has no conditions, but {other} has: both must have them, or neither"
            problems.add(self.place(without)[0], None, message)


def _check_sides(trials, place, problems):
    for trial in np.flatnonzero(trials.enrol == trials.test):
        name = trials.utterances[trials.enrol[trial]]
        problems.add(*place(trial), f"both sides of the trial are '{name}'")


def earlier_trials(trials):
    """The index of the first trial of each trial's pair, in either order; itself if it is new."""
    low = np.minimum(trials.enrol, trials.test).astype(np.int64)
    pairs = low * len(trials.utterances) + np.maximum(trials.enrol, trials.test)
    _, first, pair_of_trial = np.unique(pairs, return_index=True, return_inverse=True)
    return first[pair_of_trial]


def _check_conflicts(trials, earlier, place, problems):
    for trial in np.flatnonzero(trials.is_client != trials.is_client[earlier]):
        first = earlier[trial]
        pair = f"{trials.utterances[trials.enrol[trial]]} {trials.utterances[trials.test[trial]]}"
        path, line = place(first)
        problems.add(
            *place(trial),
            f"'{pair}' is {_WITH_ARTICLE[trials.is_client[trial]]} trial here and "
            f"{_WITH_ARTICLE[trials.is_client[first]]} trial on {path}:{line}",
        )


def warn_of_repeats(earlier, place):
    # Not an error: pairs drawn at random do repeat, and published figures count each line.
    repeats = np.flatnonzero(earlier != np.arange(len(earlier)))
    if len(repeats):
        path, line = place(repeats[0])
        logger.warning(
            "%s:%d: the pair is already on line %d; each repeat counts as a trial of its own "
            "(repeats: %d)",
            *(path, line, place(earlier[repeats[0]])[1], len(repeats)),
        )
