"""Scored trials to the hardest errors: low scores of clients, high scores of impostors."""

import os
from pathlib import Path
from urllib.parse import quote

import numpy as np

NUM_SHOWN = 10
MAX_PLAYERS = 3
# What browsers play, by file extension.
PLAYABLE = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


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
        "impostors" and "clients" -> at most 10 dictionaries with "score", "enrol" and "test". A
        side has its "name", and as "links" the relative addresses of the audio that browsers play.
    """
    errors, is_client = {}, system.trials.is_client
    for name, mask, sign in (("impostors", ~is_client, -1.0), ("clients", is_client, 1.0)):
        trials = np.flatnonzero(mask)
        order = np.argsort(sign * system.scores[trials], kind="stable")
        hardest = trials[order[:NUM_SHOWN]]
        errors[name] = [_hard_trial(system, trial, folder) for trial in hardest]
    return errors


def _hard_trial(system, trial, folder):
    found = {"score": float(system.scores[trial])}
    for side in ("enrol", "test"):
        name = system.trials.utterances[getattr(system.trials, side)[trial]]
        found[side] = {"name": name, "links": _links(system.audio.get(name, ()), folder)}
    return found


def _links(paths, folder):
    playable = [p for p in paths if Path(p).suffix.lower() in PLAYABLE and os.path.isfile(p)]
    relative = [os.path.relpath(path, folder) for path in playable[:MAX_PLAYERS]]
    return [quote(os.fsencode(path)) for path in relative]
