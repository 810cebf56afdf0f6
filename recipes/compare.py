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

import json
import logging

from local.embeddings.recordings import embed_recordings
from local.errors import InputError, Problems
from local.evaluation.pairs import compare, number_texts
from local.lists.file_lists import MAX_SHOWN
from local.model_files.pretrained import load_given
from local.settings.arguments import split_paths


def format_results(results):
    """The result of `compare` as text: a table of the pairs, the threshold, words of caution."""
    rows = [["one", "another", *number_texts(results["pairs"][0]), ""]]
    for pair in results["pairs"]:
        rows.append([pair["one"], pair["another"], *number_texts(pair).values(), pair["says"]])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if results["threshold"] is None:
        lines.append(f"\nThe score alone, without a decision: {results['threshold_from']}.")
    else:
        p_target = results["p_target"]
        prior = "" if p_target is None else f" at a prior of {p_target:g}"
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
