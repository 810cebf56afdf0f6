#!/usr/bin/env python3
"""Says whether recordings are of one speaker: score, log-likelihood ratio, and a sentence.

    python recipes/compare.py hparams/compare.yaml [--model_dir DIR] ONE ANOTHER [...] [--json]

All pairs of the recordings are compared, which may have any length, rate, format and number of
channels; CALL.wav#t=1.5,4 is a part of one. A decision needs a calibration that the model keeps
(--keep_calibration of recipes/verify.py or recipes/calibrate.py), or else the threshold of its
validation. Recordings that can't be used are named, and the others compared.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "compare.yaml", has_run_options=False)

import itertools
import json
import logging
import math

import numpy as np

from local.embeddings.recordings import embed_recordings
from local.errors import InputError, Problems
from local.evaluation.decision import read_decision
from local.evaluation.metrics import bayes_threshold
from local.lists.enrolment import single_utterances
from local.lists.file_lists import MAX_SHOWN
from local.lists.trials import Trials
from local.model_files.pretrained import load_given
from local.scoring.systems import System
from local.settings.arguments import split_paths

# With odds below 3 to 1 for either answer, there is none.
CLEAR_LOG_ODDS = math.log(3.0)


def score_pairs(names, embeddings):
    """All pairs as indices, (num_pairs, 2), and their scores, float32 (num_pairs,)."""
    pairs = np.array(list(itertools.combinations(range(len(names)), 2)), np.int32)
    is_client = np.zeros(len(pairs), bool)  # not known, and nothing that scores depend on
    trials = Trials(names, *pairs.T, is_client, [(name, None) for name in names])
    scores, _ = System().score(single_utterances(trials), embeddings)
    return pairs.tolist(), scores


def judge(scores, decision, p_target):
    """What a model says of scores: a list of dictionaries of plain values, as --json prints them.

    They have cosine, llr, probability (of one speaker), is_same and says, the sentence; what is not
    known is None. Numbers have the digits of the score files of recipes/verify.py.
    """
    threshold, least_llr = decision.threshold_at(p_target), bayes_threshold(p_target)
    llrs = decision.llrs(scores)
    found = []
    for index, score in enumerate(scores):
        llr, probability = None, None
        is_same = None if threshold is None else bool(score >= threshold)
        if llrs is not None:
            llr = float(str(llrs[index]))
            is_same = llr >= least_llr
            probability = 1.0 / (1.0 + math.exp(min(least_llr - llr, 700.0)))
        values = {"cosine": float(str(score)), "llr": llr, "probability": probability}
        found.append(values | {"is_same": is_same, "says": sentence(is_same, llr, least_llr)})
    return found


def sentence(is_same, llr, least_llr):
    """A decision in words.

    Arguments
    ---------
    is_same : bool or None
    llr : float or None
    least_llr : float
        From which on it is one speaker.

    Example
    -------
    >>> sentence(True, 3.14, least_llr=0.0), sentence(False, -0.2, least_llr=0.0)
    ('probably the same speaker (LLR +3.1)', 'too close to call, rather two speakers (LLR -0.2)')
    """
    if is_same is None:
        return "no decision"
    who = "the same speaker" if is_same else "two speakers"
    if llr is None:
        return f"taken for {who}"
    is_clear = abs(llr - least_llr) >= CLEAR_LOG_ODDS
    return f"{'probably' if is_clear else 'too close to call, rather'} {who} (LLR {llr:+.1f})"


def compare(model, embedded, p_target):
    """All that is known of EmbeddedRecordings and their pairs, as a dictionary of plain values."""
    decision = read_decision(model)
    pairs, scores = score_pairs(embedded.names, embedded.embeddings)
    of_pairs = [
        {"one": embedded.names[one], "another": embedded.names[another]} | judged
        for (one, another), judged in zip(pairs, judge(scores, decision, p_target), strict=True)
    ]
    keys = "recording", "speech_seconds", "cautions"
    seconds = [round(each, 2) for each in embedded.seconds]
    facts = embedded.names, seconds, embedded.cautions
    return {
        "model": str(model["path"]),
        "threshold": decision.threshold_at(p_target),
        "threshold_from": decision.where,
        "p_target": p_target if decision.calibration else None,
        "recordings": [dict(zip(keys, each, strict=True)) for each in zip(*facts, strict=True)],
        "pairs": of_pairs,
    }


def probability_text(probability):
    """Three digits, and never certainty.

    Example
    -------
    >>> probability_text(0.5), probability_text(1e-9), probability_text(0.9999)
    ('0.500', '<0.001', '>0.999')
    """
    if 0.0005 <= probability < 0.9995:
        return f"{probability:.3f}"
    return "<0.001" if probability < 0.5 else ">0.999"


def format_results(results):
    """The result of `compare` as text: a table of the pairs, the threshold, words of caution."""
    has_llrs = results["p_target"] is not None
    titles = ["one", "another", "cosine", *(["LLR", "probability"] if has_llrs else []), ""]
    rows = [titles]
    for pair in results["pairs"]:
        numbers = [f"{pair['cosine']:.4f}"]
        if has_llrs:
            numbers += [f"{pair['llr']:+.2f}", probability_text(pair["probability"])]
        rows.append([pair["one"], pair["another"], *numbers, pair["says"]])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if results["threshold"] is None:
        lines.append(f"\nThe score alone, without a decision: {results['threshold_from']}.")
    else:
        prior = f" at a prior of {results['p_target']:g}" if has_llrs else ""
        lines.append(
            f"\nOne speaker from a cosine of {results['threshold']:.4f} on{prior}: by "
            f"{results['threshold_from']}."
        )
    for recording in results["recordings"]:
        lines += [f"Caution: {recording['recording']} {why}" for why in recording["cautions"]]
    return "\n".join(lines)


def main(arguments):
    """Compares recordings, and prints what the model says."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    arguments, paths = split_paths(arguments, flags=["json"])
    _, hparams, _, overrides = command_line.load_hparams(arguments, has_run_options=False)
    if len(paths) < 2:
        raise InputError("give two recordings or more behind the YAML file; see -h")
    model = load_given(hparams["model_dir"], is_default="model_dir" not in overrides)
    problems = Problems(MAX_SHOWN)
    embedded = embed_recordings(model, paths, hparams["device"], problems)
    if len(embedded.names) > 1:
        results = compare(model, embedded, hparams["p_target"])
        print(json.dumps(results, indent=2) if hparams["json"] else format_results(results))
    problems.raise_if_any()


if __name__ == "__main__":
    command_line.run(main)
