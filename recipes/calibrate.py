#!/usr/bin/env python3
"""Learns the map of scores to natural-log likelihood ratios on development trials.

    python recipes/calibrate.py hparams/calibrate.yaml --scores dev/scores.txt [--key value ...]

    python recipes/verify.py hparams/verify.yaml --calibration dev/calibration.json ...

The first command writes the calibration, the second applies it. With --held_out_share 0.5, half of
the speakers are kept apart, and the calibration is measured on their trials. With
--keep_calibration True --model_dir DIR, the model decides by it (recipes/compare.py).
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "calibrate.yaml")

import logging
import shlex
from contextlib import ExitStack

import numpy as np

from local.atomic import locked
from local.errors import InputError
from local.evaluation import calibration
from local.evaluation.decision import of_calibration, write_decision
from local.evaluation.speakers import CONNECTED, find_speakers
from local.evaluation.summary import DEFAULT_COSTS, number_text, summarise, summary_rows
from local.scoring.quality import checked_measures, read_quality, trial_inputs
from local.scoring.score_files import read_scores, write_scores
from local.scoring.trial_scores import QUALITY_FILE, refuse_folder

logger = logging.getLogger(__name__)

MAX_COSINE = 1.001  # with what rounding may add


def check_settings(hparams):
    """Raises an InputError if a setting is missing or outside its range."""
    if not hparams["scores"]:
        raise InputError(
            "give --scores FILE: the scores.txt of recipes/verify.py on development trials"
        )
    if hparams["held_out_file"] and not hparams["held_out_share"]:
        raise InputError("held_out_file needs a held_out_share above 0: no trials are held out")
    if hparams["keep_calibration"] and not hparams["model_dir"]:
        raise InputError("keep_calibration needs --model_dir, the model whose scores these are")


def find_paths(hparams):
    """The Paths of the scores, their quality measures, and the two files to write (or None)."""
    refuse_folder(hparams["scores"])
    scores = Path(hparams["scores"])
    quality = Path(hparams["quality_file"] or scores.with_name(QUALITY_FILE))
    out = Path(hparams["out"] or scores.with_name("calibration.json"))
    held_out = Path(hparams["held_out_file"]) if hparams["held_out_file"] else None
    taken = {scores.resolve(), quality.resolve()}
    for path in (out, held_out):
        if path is None:
            continue
        if path.resolve() in taken:
            raise InputError(f"{path}: would be overwritten; give another out or held_out_file")
        if not path.parent.is_dir():
            raise InputError(f"{path}: can't be written (there is no folder {path.parent})")
        taken.add(path.resolve())
    return scores, quality, out, held_out


def split(trials, share, seed, speakers_path):
    """Draws a share of the speakers to hold out; trials across the two groups are in neither part.

    Arguments
    ---------
    trials : local.lists.trials.Trials
    share : float
        If it is 0, all trials are learnt on.
    seed : int
    speakers_path : str or None
        See `local.evaluation.speakers.find_speakers`.

    Returns
    -------
    learning, held_out : np.ndarray
        bool (num_trials,)
    """
    if not share:
        return np.ones(len(trials), bool), np.zeros(len(trials), bool)
    speakers = find_speakers(trials, speakers_path)
    num_speakers = len(speakers.names)
    num_held_out = round(share * num_speakers)
    is_held_out = np.zeros(num_speakers, bool)
    is_held_out[np.random.default_rng(seed).permutation(num_speakers)[:num_held_out]] = True
    enrol, test = (is_held_out[speakers.of_utterance[s]] for s in (trials.enrol, trials.test))
    learning, held_out = ~(enrol | test), enrol & test
    for name, part in (("learnt on", learning), ("held out", held_out)):
        for kind, is_of_kind in (("client", trials.is_client), ("impostor", ~trials.is_client)):
            if not (part & is_of_kind).any():
                raise InputError(
                    f"held_out_share {share} keeps {num_held_out} of {num_speakers} speakers "
                    f"apart, and the trials {name} have no {kind}; give another share, seed or "
                    f"more speakers"
                )
    logger.info(
        f"Speakers held out: {num_held_out} of {num_speakers} (speakers from {speakers.source}); "
        f"trials left out: {np.count_nonzero(enrol != test):,}"
    )
    if speakers.source == CONNECTED:
        logger.warning(
            "One speaker may be in both parts, as the names of the utterances don't tell the "
            "speakers: give a file that does with --speakers"
        )
    return learning, held_out


def compare(name, is_client, scores, llrs, p_target):
    """A table of the figures of some trials before and after the calibration."""
    priors = tuple(sorted({*DEFAULT_COSTS.p_targets, float(p_target)}))
    costs = DEFAULT_COSTS._replace(p_targets=priors)
    before, after = (summarise(s, is_client, costs=costs) for s in (scores, llrs))
    lines = [
        f"{name}: {before['num_trials']:,} trials, {before['num_clients']:,} of them clients",
        f"{'':<18}{'before':>9}   {'after':>9}",
    ]
    for key, title in summary_rows(before):
        unit = "%" if key.endswith("_percent") else " "
        values = [f"{number_text(key, figures[key]):>9} {unit}" for figures in (before, after)]
        lines.append(f"{title:<18}{' '.join(values)}".rstrip())
    return "\n".join(lines)


def keep(model_dir, learnt, scores, scores_path):
    """Has a model decide by what was learnt; returns the path of the file that says so."""
    from local.model_files.model_dir import load_model  # here, as torch takes a second

    if not np.abs(scores).max() <= MAX_COSINE:
        raise InputError(
            f"{scores_path}: has scores that are no cosines: a model decides by these alone"
        )
    return write_decision(load_model(model_dir), of_calibration(learnt))


def print_results(learnt, tables, out, held_out_path):
    """Prints the calibration, the figures with and without it, its path and how to apply it."""
    print(f"\n\nCalibration learnt at p_target {learnt.p_target}:")
    for name, value in [*learnt.weights.items(), ("offset", learnt.offset)]:
        print(f"  {name:<20} {value:>12.6g}")
    print("\n" + "\n\n".join(tables))
    print(f"\nCalibration: {out}")
    if held_out_path:
        print(f"Held out:    {held_out_path}")
    options = f"--scores OTHER/scores.txt --calibration {shlex.quote(str(out))}"
    print(f"Apply it by: python recipes/verify.py hparams/verify.yaml {options}")


def main(arguments):
    """Reads scores, learns the calibration, writes it, and prints what it does to the figures."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _, hparams, _, _ = command_line.load_hparams(arguments)
    check_settings(hparams)
    measures, p_target = checked_measures(hparams["quality"]), float(hparams["p_target"])
    scores_path, quality_path, out, held_out_path = find_paths(hparams)
    trials, scores = read_scores(scores_path)
    quality = read_quality(quality_path, trials.utterances) if measures else None
    inputs = trial_inputs(measures, trials, scores, quality)
    learning, held_out = split(
        trials, hparams["held_out_share"], hparams["seed"], hparams["speakers"]
    )
    learnt = calibration.fit(
        inputs[learning], trials.is_client[learning], p_target, measures, scores_path
    )
    llrs = calibration.apply(learnt, inputs).astype(np.float32)
    tables = [
        compare(name, trials.is_client[part], scores[part], llrs[part], p_target)
        for name, part in (("Learnt on", learning), ("Held out", held_out))
        if part.any()
    ]
    with ExitStack() as stack:
        for folder in {path.parent for path in (out, held_out_path) if path}:
            stack.enter_context(locked(folder))
        if held_out_path:
            write_scores(held_out_path, trials.subset(held_out), llrs[held_out])
        calibration.save(out, learnt)
    print_results(learnt, tables, out, held_out_path)
    if hparams["keep_calibration"]:
        print(f"Decision:    {keep(hparams['model_dir'], learnt, scores, scores_path)}")


if __name__ == "__main__":
    command_line.run(main)
