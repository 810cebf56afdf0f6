"""Trials to groups that are reported apart: by sex, age, length, or what the lists say."""

import logging
from itertools import pairwise
from math import isfinite
from typing import NamedTuple

import numpy as np

from local.errors import InputError

logger = logging.getLogger(__name__)

# A column with more values, such as a name for each speaker, makes no groups.
MAX_GROUPS = 20


class Grouping(NamedTuple):
    """What trials are grouped by, besides what their lists say."""

    # Column -> speaker -> value, from `local.lists.speaker_table.read_speaker_table`; may be empty.
    speaker_table: dict
    group_edges: dict  # column of the table -> ascending numbers that divide its values into groups
    duration_edges: tuple  # seconds that divide the lengths of the shorter sides into groups

    def check(self):
        """Raises an InputError if edges are not ascending numbers."""
        if not isinstance(self.group_edges, dict):
            raise InputError(f"group_edges: expected {{age: [18, 60]}}, not {self.group_edges!r}")
        for name, edges in {"duration_edges": self.duration_edges, **self.group_edges}.items():
            if not _are_ascending(edges):
                raise InputError(f"{name}: expected ascending numbers such as [2, 4], not {edges}")

    def conditions(self, trials, speakers, seconds=None):
        """All groups of the trials.

        By a column of the table, a client trial belongs to the group of its speaker, and an
        impostor trial to a group if both speakers do. "same" has the impostor trials within any one
        group, "cross" those of two groups; both have all clients, as there are no others.

        Arguments
        ---------
        trials : local.lists.trials.Trials
        speakers : local.evaluation.speakers.Speakers
        seconds : np.ndarray, optional
            (num_utterances,), if the lengths are known.

        Returns
        -------
        conditions : list of tuple
            (heading of a table, name of its row, bool (num_trials,): the trials of the row)

        Raises
        ------
        InputError
            If the table knows none of the speakers, or a column with edges has a value that is not
            a number.
        """
        conditions = _of_lists(trials)
        if self.speaker_table:
            _check_known(self.speaker_table, speakers.names)
        for column, value_of in self.speaker_table.items():
            values = [value_of.get(name, "") for name in speakers.names]
            if column in self.group_edges:
                values = _grouped(column, values, self.group_edges[column])
            conditions += _of_speakers(column, np.array(values), trials, speakers)
        if seconds is not None:
            conditions += _of_durations(trials, seconds, self.duration_edges)
        return conditions


NO_GROUPING = Grouping({}, {}, ())


def _are_ascending(edges):
    return (
        isinstance(edges, list | tuple)
        and all(isinstance(edge, int | float) and isfinite(edge) for edge in edges)
        and all(low < high for low, high in pairwise(edges))
    )


def _of_lists(trials):
    """The conditions that the trial lists themselves name in their last field."""
    if trials.condition is None:
        return []
    if len(trials.condition_names) > MAX_GROUPS:
        logger.info("The conditions of the trials are left out: there are too many")
        return []
    names = enumerate(trials.condition_names)
    return [("condition", name, trials.condition == index) for index, name in names]


def _of_durations(trials, seconds, edges):
    """Groups by the length of the shorter side; none if all trials are in one group."""
    shorter = np.minimum(seconds[trials.enrol], seconds[trials.test])
    groups = np.searchsorted(edges, shorter, side="right")
    names, found = range_names(edges, " s"), np.unique(groups)
    if len(found) == 1:
        return []
    return [("shorter side", names[group], groups == group) for group in found]


def range_names(edges, unit=""):
    """What the groups between edges are called.

    Example
    -------
    >>> range_names([2, 4.5], " s")
    ['below 2 s', '2 to 4.5 s', 'from 4.5 s']
    """
    if not len(edges):
        return ["all"]
    inner = [f"{low:g} to {high:g}{unit}" for low, high in pairwise(edges)]
    return [f"below {edges[0]:g}{unit}", *inner, f"from {edges[-1]:g}{unit}"]


def _check_known(table, names):
    known = set().union(*table.values())
    if known.isdisjoint(names):
        raise InputError(
            f"the table of speakers says nothing about the speakers of the trials: it knows "
            f"{sorted(known)[:3]}, they are {names[:3]}"
        )


def _of_speakers(column, values, trials, speakers):
    """Groups by a value of each speaker, "" where it is not known."""
    groups = sorted(set(values) - {""})
    if len(groups) > MAX_GROUPS:
        logger.info("The speakers' %s is left out: it has too many values", column)
        return []
    enrol, test = (values[speakers.of_utterance[side]] for side in (trials.enrol, trials.test))
    is_known = (enrol != "") & (test != "")
    is_same = is_known & (enrol == test)
    is_cross = is_known & ((enrol != test) | trials.is_client)
    rows = [(f"same {column}", is_same), (f"cross {column}", is_cross)]
    rows += [(value, is_same & (enrol == value)) for value in groups]
    return [(column, name, mask) for name, mask in rows if mask.any()]


def _grouped(column, values, edges):
    """Numbers, as text, to the names of their groups; "" stays."""
    names = range_names(edges)
    try:
        return [names[np.searchsorted(edges, float(v), side="right")] if v else "" for v in values]
    except ValueError as error:
        raise InputError(f"speaker_table: column '{column}' is not all numbers: {error}") from error
