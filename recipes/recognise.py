#!/usr/bin/env python3
"""Says who of the people that recipes/enrol.py enrolled speaks in recordings, if it is any of them.

    python recipes/recognise.py hparams/recognise.yaml --people people.npz one.wav two.wav

    python recipes/recognise.py hparams/recognise.yaml --people people.npz --json FOLDER

    python recipes/recognise.py hparams/recognise.yaml --people people.npz --speakers LIST FOLDER

Recordings may be audio files, folders, lists with a path a line, and a Kaldi wav.scp. For each, the
nearest people are shown with their scores; the answer is "nobody" if the first is below the
threshold. With --speakers, which says who it is, error rates come at the end.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "recognise.yaml", has_run_options=False)

import json
import logging

import numpy as np

from local.embeddings.people import read_people
from local.embeddings.recordings import embed_named
from local.errors import InputError, Problems
from local.evaluation.decision import read_decision
from local.evaluation.open_set import open_set_figures
from local.lists.file_lists import MAX_SHOWN, find_recordings
from local.model_files.pretrained import load_given
from local.scoring.identification import nearest, prior_of_each
from local.settings.arguments import split_paths

logger = logging.getLogger(__name__)

KEYS = "name", "cosine", "llr"
TITLES = {
    "num_known": "Recordings of the people",
    "num_unknown": "Recordings of others",
    "identification_percent": "Right person is the nearest",
    "miss_percent": "Miss",
    "false_alarm_percent": "False alarm",
    "equal_percent": "Both are equal",
    "equal_threshold": "  at the threshold",
}


def choose_threshold(given, decision, p_known, num_people):
    """The cosine from which on the nearest is the answer, or None; and where it is from."""
    if given is not None:
        return given, "the value that was given"
    if decision.calibration is None and decision.threshold is not None and num_people > 1:
        logger.warning(
            "The threshold of this model is for one pair of recordings. Among many people, "
            "strangers are taken for somebody more often: calibrate the model "
            "(--keep_calibration), or give --threshold"
        )
    return decision.threshold_at(prior_of_each(p_known, num_people)), decision.where


def answer_all(embedded, names, rows, scores, threshold, decision):
    """What is known of each recording, as plain values: see docs/using_a_model.md."""
    llrs = decision.llrs(scores.ravel())
    llrs = np.full(scores.shape, None) if llrs is None else llrs.reshape(scores.shape)
    found = []
    for index, (recording, _, seconds, cautions) in enumerate(zip(*embedded, strict=True)):
        people = [names[row] for row in rows[index]]
        is_somebody = threshold is not None and scores[index, 0] >= threshold
        answer = {"recording": recording, "name": people[0] if is_somebody else None}
        values = zip(people, map(plain, scores[index]), map(plain, llrs[index]), strict=True)
        answer["nearest"] = [dict(zip(KEYS, each, strict=True)) for each in values]
        found.append(answer | {"speech_seconds": round(seconds, 2), "cautions": cautions})
    return found


def plain(number):
    """A float32, or None, as JSON has it: with the digits of the score files of verification."""
    return None if number is None else float(str(number))


def format_answer(answer, has_threshold):
    """The answer for a recording as a line of text."""
    best, *_ = answer["nearest"]
    first, *others = [f"{person['name']} {person['cosine']:.4f}" for person in answer["nearest"]]
    if best["llr"] is not None:
        first += f" (LLR {best['llr']:+.1f})"
    nobody = "nearest " if not has_threshold else "nobody, nearest "
    then = f", then {', '.join(others)}" if others else ""
    return f"{answer['recording']}: {nobody if answer['name'] is None else ''}{first}{then}"


def read_truth(path, ids):
    """Who speaks in recordings, by a file that says so: ID -> name. Empty without a file."""
    if path is None:
        return {}
    from local.evaluation.speakers import read_speakers  # here, as few need it, and it needs SciPy

    return dict(zip(ids, read_speakers(path, ids), strict=True))


def measure(answers, truth, names, threshold):
    """The figures of `open_set_figures` for answers, and the names of all people."""
    speakers = [truth[answer["recording"]] for answer in answers]
    best = [answer["nearest"][0] for answer in answers]
    pairs = zip(best, speakers, strict=True)
    is_right = np.array([person["name"] == speaker for person, speaker in pairs])
    is_known = np.isin(speakers, names)
    scores = np.array([person["cosine"] for person in best], np.float32)
    return open_set_figures(scores, is_right, is_known, threshold)


def recognise(hparams, model, recordings, problems):
    """The answers for all recordings, as a dictionary of plain values, and words of caution.

    `problems` gets what is wrong with those that can't be used; if it is all, there is no answer.
    """
    people, decision = read_people(hparams["people"], model), read_decision(model)
    if not people.names:
        raise InputError(f"{hparams['people']}: there is nobody in it: recipes/enrol.py enrols")
    size = len(people.names)
    threshold, where = choose_threshold(hparams["threshold"], decision, hparams["p_target"], size)
    truth = read_truth(hparams["speakers"], recordings.ids)
    embedded = embed_named(model, recordings, hparams["data_dir"], hparams["device"], problems)
    if not embedded.names:
        return None, []
    tests = embedded.embeddings
    people.check_size(tests)
    found = nearest(people.embeddings, people.names, tests, embedded.names, hparams["num_names"])
    results = {"model": str(model["path"]), "num_people": size, "threshold": threshold}
    results["threshold_from"] = where
    results["recordings"] = answer_all(embedded, people.names, *found, threshold, decision)
    if truth:
        results["figures"] = measure(results["recordings"], truth, people.names, threshold)
    return results, embedded.caution_lines()


def format_results(results):
    """The result of `recognise` as text: a line for each recording, the threshold, figures."""
    threshold, where = results["threshold"], results["threshold_from"]
    has_threshold = threshold is not None
    lines = [format_answer(answer, has_threshold) for answer in results["recordings"]]
    if has_threshold:
        count = results["num_people"]
        lines.append(
            f"\nWith {count} enrolled, one of them from a cosine of {threshold:.4f} on: by {where}."
        )
    else:
        lines.append(f"\nThe nearest people alone, without a decision: {where}.")
    for key, value in results.get("figures", {}).items():
        unit = " %" if key.endswith("percent") else ""
        text = f"{value:.3f}" if isinstance(value, float) else str(value)
        lines.append(f"{TITLES[key]:<28}{text:>8}{unit}")
    return "\n".join(lines)


def main(arguments):
    """Says who speaks in recordings."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    arguments, paths = split_paths(arguments, ["json"])
    _, hparams, _, overrides = command_line.load_hparams(arguments, has_run_options=False)
    if not paths:
        raise InputError("give recordings, or a folder or list of them, behind the YAML file")
    model = load_given(hparams["model_dir"], is_default="model_dir" not in overrides)
    problems = Problems(MAX_SHOWN)
    recordings = find_recordings(paths, problems)
    results, cautions = recognise(hparams, model, recordings, problems)
    if results:
        as_json = hparams["json"]
        print(json.dumps(results, indent=2) if as_json else format_results(results))
        for text in cautions:
            print(text, file=sys.stderr)
    problems.raise_if_any()


if __name__ == "__main__":
    command_line.run(main)
