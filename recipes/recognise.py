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

from local.embeddings.kept import Computation
from local.embeddings.people import read_people
from local.embeddings.recordings import embed_recordings
from local.errors import InputError, Problems
from local.evaluation.decision import read_decision
from local.evaluation.open_set import open_set_figures
from local.lists.file_lists import MAX_SHOWN, find_recordings
from local.model_files.model_dir import load_model
from local.scoring.identification import nearest, prior_of_each
from local.settings.arguments import split_paths

logger = logging.getLogger(__name__)

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
    """The cosine from which on the nearest is the answer, or None; says where it comes from."""
    if given is not None:
        return given
    threshold = decision.threshold_at(prior_of_each(p_known, num_people))
    if threshold is None:
        logger.warning(f"{decision.where}: give --threshold; without it, nobody is ruled out")
        return None
    logger.info(f"Threshold {threshold:.3f}: {decision.where}; {num_people} people")
    if decision.calibration is None and num_people > 1:
        logger.warning(
            "This threshold is for one pair of recordings. Among many people, strangers are taken "
            "for somebody more often: calibrate the model (--keep_calibration), or give --threshold"
        )
    return threshold


def answers(ids, people, rows, scores, threshold, decision):
    """What is known of each recording, as plain values: see docs/using_a_model.md."""
    llrs = decision.llrs(scores.ravel())
    found = []
    for index, identity in enumerate(ids):
        near = [
            {"name": people.names[row], "score": round(float(score), 6)}
            for row, score in zip(rows[index], scores[index], strict=True)
        ]
        if llrs is not None:
            for person, llr in zip(near, llrs.reshape(scores.shape)[index], strict=True):
                person["llr"] = round(float(llr), 4)
        is_somebody = threshold is not None and scores[index, 0] >= threshold
        name = near[0]["name"] if is_somebody else None
        found.append({"recording": identity, "name": name, "nearest": near})
    return found


def line(answer, has_threshold):
    """The answer of a recording as a line of text."""
    first, *others = [f"{person['name']} {person['score']:.3f}" for person in answer["nearest"]]
    if answer["name"] is None:
        what = "nobody, nearest" if has_threshold else "nearest"
        return f"{answer['recording']}: {what} {', '.join([first, *others])}"
    best = answer["nearest"][0]
    llr = f" (LLR {best['llr']:+.1f})" if "llr" in best else ""
    return f"{answer['recording']}: {first}{llr}{', then ' if others else ''}{', '.join(others)}"


def measure(speakers_path, ids, people, rows, scores, threshold):
    """The figures of `open_set_figures`, by a file that says who speaks."""
    from local.evaluation.speakers import read_speakers  # here, as few need it, and it needs SciPy

    speakers = read_speakers(speakers_path, ids)
    known = set(people.names)
    pairs = zip(rows[:, 0], speakers, strict=True)
    is_right = np.array([people.names[row] == speaker for row, speaker in pairs])
    is_known = np.array([speaker in known for speaker in speakers])
    return open_set_figures(scores[:, 0], is_right, is_known, threshold)


def figure_lines(figures):
    """The lines of a table of figures."""
    for key, value in figures.items():
        unit = " %" if key.endswith("percent") else ""
        yield f"{TITLES[key]:<28}{f'{value:.3f}' if isinstance(value, float) else value:>8}{unit}"


def recognise(hparams, sources):
    """Answers for all recordings, prints the answers, and returns the Problems of the others."""
    if not sources:
        raise InputError("give recordings, or a folder or list of them")
    problems = Problems(MAX_SHOWN)
    recordings = find_recordings(sources, problems)
    model = load_model(hparams["model_dir"])
    people, decision = read_people(hparams["people"], model), read_decision(model)
    if not people.names:
        raise InputError(f"{hparams['people']}: there is nobody in it: recipes/enrol.py enrols")
    threshold = choose_threshold(
        hparams["threshold"], decision, hparams["p_target"], len(people.names)
    )
    settings = (hparams[name] for name in ("device", "precision", "batch_seconds", "num_workers"))
    computation = Computation(*settings, progress=True)
    ids, tests = embed_recordings(model, recordings, hparams["data_dir"], computation, problems)
    if ids:
        people.check_size(tests)
        found = nearest(people.embeddings, people.names, tests, ids, hparams["num_names"])
        content = {"threshold": threshold}
        content["recordings"] = answers(ids, people, *found, threshold, decision)
        if hparams["speakers"]:
            arguments = hparams["speakers"], ids, people, *found, threshold
            content["figures"] = measure(*arguments)
        show(content, hparams["json"])
    return problems


def show(content, as_json):
    """Prints the answers, and the figures if there are any."""
    if as_json:
        print(json.dumps(content, indent=1, ensure_ascii=False))
        return
    for answer in content["recordings"]:
        print(line(answer, content["threshold"] is not None))
    for text in figure_lines(content.get("figures", {})):
        print(text)


def main(arguments):
    """Says who speaks in recordings."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments, paths = split_paths(arguments, ["json"])
    _, hparams, _, _ = command_line.load_hparams(arguments, has_run_options=False)
    problems = recognise(hparams, paths)
    if problems:
        print(f"{len(problems)} failed:", file=sys.stderr)
    problems.raise_if_any()


if __name__ == "__main__":
    command_line.run(main)
