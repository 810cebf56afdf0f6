"""Scored trials to the hardest errors: low scores of clients, high scores of impostors."""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

NUM_SHOWN = 10
MAX_PLAYERS = 3
# What browsers play, by file extension.
PLAYABLE = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


class Side(NamedTuple):
    """An utterance or an enrolment model, and relative links to the audio that browsers play."""

    name: str
    links: list


class HardTrial(NamedTuple):
    """A trial that is hard to get right."""

    score: float
    enrol: Side
    test: Side


def hardest_errors(system, folder):
    """The hardest trials of both classes, the hardest first; equal ones in the trials' order.

    Arguments
    ---------
    system : local.evaluation.evaluate.Evaluation
    folder : str or Path
        Where the report will be.

    Returns
    -------
    errors : dict
        "impostors" and "clients" -> list of HardTrial, at most 10 each.
    """
    errors, is_client = {}, system.trials.is_client
    for name, mask, sign in (("impostors", ~is_client, -1.0), ("clients", is_client, 1.0)):
        trials = np.flatnonzero(mask)
        hardest = trials[_lowest(sign * system.scores[trials])]
        errors[name] = [_hard_trial(system, trial, folder) for trial in hardest]
    return errors


def _lowest(values):
    """Indices of the lowest values, ascending."""
    count = min(NUM_SHOWN, len(values))
    limit = np.partition(values, count - 1)[count - 1]
    candidates = np.flatnonzero(values <= limit)
    return candidates[np.argsort(values[candidates], kind="stable")][:count]


def _hard_trial(system, trial, folder):
    trials = system.trials
    names = [trials.utterances[side[trial]] for side in (trials.enrol, trials.test)]
    sides = [Side(name, _links(system.audio.get(name), folder)) for name in names]
    return HardTrial(float(system.scores[trial]), *sides)


def _links(audio, folder):
    paths = audio if isinstance(audio, list | tuple) else [audio] if audio else []
    playable = [
        path for path in paths if Path(path).suffix.lower() in PLAYABLE and os.path.isfile(path)
    ]
    return [relative_link(path, folder) for path in playable[:MAX_PLAYERS]]


def relative_link(path, folder):
    """The address of a file for a page in a folder.

    Example
    -------
    >>> relative_link("/data/wav/anna #1/what?.wav", "/data/results")
    '../wav/anna%20%231/what%3F.wav'
    """
    return quote(os.fsencode(os.path.relpath(path, folder)))
