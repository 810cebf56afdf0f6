"""Conditions: groups of trials by sex, age, length or what the lists say, to be reported apart."""

import logging
from itertools import chain, islice, pairwise
from typing import NamedTuple

import numpy as np

from local.errors import InputError

logger = logging.getLogger(__name__)

# Of more values, such as a name for each speaker, no groups are made.
MAX_GROUPS = 20


class Condition(NamedTuple):
    """A group of trials.

    Arguments
    ---------
    heading : str
        Of the table that it is a row of.
    name : str
    chosen : np.ndarray
        bool (num_trials,)
    """

    heading: str
    name: str
    chosen: np.ndarray


class Grouping(NamedTuple):
    """What trials are grouped by, besides what their lists say.

    Arguments
    ---------
    speaker_table : dict
        From `local.lists.speaker_table.read_speaker_table`; empty if nothing is known of the
        speakers.
    group_edges : dict
        Column of the table -> ascending numbers that divide its values into groups.
    duration_edges : sequence of float
        Seconds that divide the lengths of the shorter sides into groups.
    """

    speaker_table: dict
    group_edges: dict
    duration_edges: tuple

    def check(self):
        """Raises an InputError if edges are not ascending numbers."""
        if not isinstance(self.group_edges, dict):
            raise InputError(f"group_edges: expected {{age: [18, 60]}}, not {self.group_edges!r}")
        for name, edges in {"duration_edges": self.duration_edges, **self.group_edges}.items():
            if not _are_ascending(edges):
                raise InputError(f"{name}: expected ascending numbers such as [2, 4], not {edges}")

    def conditions(self, trials, speakers, seconds=None):
        """All groups that the trials have.

        Arguments
        ---------
        trials : local.lists.trials.Trials
        speakers : local.evaluation.speakers.Speakers
        seconds : np.ndarray, optional
            (num_utterances,), if they are known.

        Returns
        -------
        conditions : list of Condition
        """
        found = of_lists(trials)
        if self.speaker_table:
            found += of_speakers(trials, speakers, self.speaker_table, self.group_edges)
        if seconds is not None:
            found += of_durations(trials, seconds, self.duration_edges)
        return found


NO_GROUPING = Grouping({}, {}, ())


def _are_ascending(edges):
    if not isinstance(edges, list | tuple):
        return False
    are_numbers = all(isinstance(edge, int | float) for edge in edges)
    return are_numbers and all(low < high for low, high in pairwise(edges))


def of_lists(trials):
    """The conditions that the trial lists themselves name in their last field."""
    if trials.condition is None:
        return []
    if len(trials.condition_names) > MAX_GROUPS:
        logger.info("The conditions of the trials are left out: they are too many")
        return []
    return [
        Condition("condition", name, trials.condition == index)
        for index, name in enumerate(trials.condition_names)
    ]


def of_durations(trials, seconds, edges):
    """Groups by the length of the shorter side.

    Arguments
    ---------
    trials : local.lists.trials.Trials
    seconds : np.ndarray
        float (num_utterances,)
    edges : sequence of float
        In seconds, ascending: where one group ends and the next begins.

    Returns
    -------
    conditions : list of Condition
        Those that have trials.
    """
    shorter = np.minimum(seconds[trials.enrol], seconds[trials.test])
    groups = np.searchsorted(edges, shorter, side="right")
    names = range_names(edges, " s")
    chosen = [
        Condition("shorter side", names[group], groups == group) for group in np.unique(groups)
    ]
    return chosen if len(chosen) > 1 else []


def range_names(edges, unit=""):
    """What the groups between edges are called.

    Example
    -------
    >>> range_names([2, 4.5], " s")
    ['below 2 s', '2 to 4.5 s', 'from 4.5 s']
    """
    if not len(edges):
        return ["all"]
    inner = [f"{low:g} to {high:g}{unit}" for low, high in zip(edges, edges[1:], strict=False)]
    return [f"below {edges[0]:g}{unit}", *inner, f"from {edges[-1]:g}{unit}"]


def of_speakers(trials, speakers, table, edges):
    """Groups by what is known of the speakers, for each column of a table of them.

    A client trial belongs to the group of its speaker, an impostor trial to a group if both
    speakers do. "same" has the impostor trials within any one group, "cross" those of two groups;
    both have all clients, as there are no others.

    Arguments
    ---------
    trials : local.lists.trials.Trials
    speakers : local.evaluation.speakers.Speakers
    table : dict
        From `local.lists.speaker_table.read_speaker_table`: column -> speaker -> value.
    edges : dict
        Column -> ascending numbers: its values are numbers, and these divide them into groups.

    Returns
    -------
    conditions : list of Condition

    Raises
    ------
    InputError
        If the table knows none of the speakers, or a column with edges has what is no number.
    """
    if not any(name in value_of for value_of in table.values() for name in speakers.names):
        raise InputError(
            f"the table of speakers says nothing about those of the trials: it knows "
            f"{_examples(*table.values())}, they are {_examples(speakers.names)}"
        )
    conditions = []
    for column, value_of in table.items():
        values = [value_of.get(name, "") for name in speakers.names]
        if column in edges:
            values = _grouped(column, values, edges[column])
        if len(set(values)) > MAX_GROUPS:
            logger.info("The speakers' %s is left out: it has too many values", column)
            continue
        conditions += _of_column(column, np.array(values), trials, speakers)
    return conditions


def _examples(*names):
    return ", ".join(f"'{name}'" for name in islice(chain(*names), 3))


def _of_column(column, values, trials, speakers):
    enrol, test = (values[speakers.of_utterance[side]] for side in (trials.enrol, trials.test))
    is_known = (enrol != "") & (test != "")
    is_same = is_known & (enrol == test)
    of_two = is_known & (enrol != test)
    rows = [
        (f"same {column}", is_same),
        (f"cross {column}", of_two | (trials.is_client & is_known)),
    ]
    rows += [(value, is_same & (enrol == value)) for value in sorted(set(values) - {""})]
    return [Condition(column, name, chosen) for name, chosen in rows if chosen.any()]


def _grouped(column, values, edges):
    names = range_names(edges)
    try:
        return [names[np.searchsorted(edges, float(v), side="right")] if v else "" for v in values]
    except ValueError as error:
        raise InputError(f"speaker_table: column '{column}' is not all numbers: {error}") from error
