"""Names of utterances, or a file of speakers, to the speaker of each utterance of trials."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from local.errors import Problems
from local.lists.fields import read_fields

CONNECTED = "connections by client trials"


class Speakers(NamedTuple):
    """The speakers of trials."""

    names: list
    of_utterance: np.ndarray  # int (num_utterances,): indices into names, for `Trials.utterances`
    source: str  # how they were found, for the report


def find_speakers(trials, path=None):
    """The speakers of the utterances of trials.

    Without a file, the names of the utterances tell: the first folders of their paths, as many as
    it takes, or the file name up to the first - or _. Whichever is the same on both sides of every
    client trial, and differs in every impostor trial, names the speaker. If none does, utterances
    that client trials connect count as one speaker, which may take one speaker for several.

    Arguments
    ---------
    trials : local.lists.trials.Trials
    path : str or Path, optional
        A file with `UTTERANCE SPEAKER` lines.

    Raises
    ------
    InputError
        If the file is wrong, lacks an utterance, or contradicts the trials.

    Example
    -------
    >>> from local.lists.trials import Trials
    >>> pairs = np.array([[0, 1], [0, 2]])
    >>> trials = Trials(["a/x/1", "a/y/2", "b/x/1"], *pairs.T, np.array([True, False]), [])
    >>> find_speakers(trials)
    Speakers(names=['a', 'b'], of_utterance=array([0, 0, 1]), source='the first folder')
    """
    if path is not None:
        speakers = _speakers(read_speakers(path, trials.utterances), str(path))
        _refuse_contradictions(trials, speakers, path)
        return speakers
    for source, names in _namings(trials.utterances):
        speakers = _speakers(names, source)
        if not _contradictions(trials, speakers.of_utterance).any():
            return speakers
    return _connected(trials)


def _namings(utterances):
    """Yields what may name the speakers, in words, with the name for each utterance."""
    paths = [utterance.split("/") for utterance in utterances]
    for count in range(1, max(map(len, paths))):
        source = "the first folder" if count == 1 else f"the first {count} folders"
        yield source, ["/".join(path[:count]) for path in paths]
    for mark in "-_":
        yield f"the file name up to {mark}", [path[-1].split(mark)[0] for path in paths]


def _speakers(of_utterance, source):
    names, indices = np.unique(np.array(of_utterance), return_inverse=True)
    return Speakers(names.tolist(), indices, source)


def _contradictions(trials, of_utterance):
    """Where speakers and labels disagree: bool (num_trials,)."""
    return (of_utterance[trials.enrol] == of_utterance[trials.test]) != trials.is_client


def _connected(trials):
    clients = trials.enrol[trials.is_client], trials.test[trials.is_client]
    size = len(trials.utterances)
    graph = coo_array((np.ones(len(clients[0]), bool), clients), shape=(size, size))
    num_speakers, of_utterance = connected_components(graph, directed=False)
    names = [f"speaker {index + 1}" for index in range(num_speakers)]
    return Speakers(names, of_utterance, CONNECTED)


def read_speakers(path, utterances):
    """The speaker of each utterance, by a file of `UTTERANCE SPEAKER` lines: a list of str.

    Raises an InputError if the file is wrong, or lacks an utterance.
    """
    problems = Problems()
    speaker_of = {}
    for line, (utterance, speaker) in read_fields(path, "UTTERANCE SPEAKER", problems):
        if speaker_of.setdefault(utterance, speaker) != speaker:
            problems.add(path, line, f"'{utterance}' is of '{speaker_of[utterance]}' above")
    problems.raise_if_any()
    for utterance in utterances:
        if utterance not in speaker_of:
            problems.add(path, None, f"has no line for '{utterance}'")
    problems.raise_if_any()
    return [speaker_of[utterance] for utterance in utterances]


def _refuse_contradictions(trials, speakers, path):
    problems = Problems()
    for trial in np.flatnonzero(_contradictions(trials, speakers.of_utterance)):
        kind = "a client" if trials.is_client[trial] else "an impostor"
        sides = [trials.utterances[side[trial]] for side in (trials.enrol, trials.test)]
        problems.add(path, None, f"does not fit {kind} trial: '{sides[0]}' and '{sides[1]}'")
    problems.raise_if_any()
