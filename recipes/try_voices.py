#!/usr/bin/env python3
"""Serves a page, to this machine alone, that compares two recordings.

    python recipes/try_voices.py [hparams/try_voices.yaml] [--model_dir DIR] [--key value ...]

It shows what recipes/compare.py says, and the score among those of the model's verification, if its
directory has them. Nothing is kept of the recordings. Ctrl-C ends it.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

YAML = ROOT / "hparams" / "try_voices.yaml"
if __name__ == "__main__":
    command_line.answer_help(__doc__, YAML, has_run_options=False)

import contextlib
import tempfile
from functools import partial

import torch

from local.atomic import writing
from local.audio.checking import check_audio
from local.audio.reading import read_audio
from local.embeddings.recordings import embed_recordings
from local.errors import InputError, Problems
from local.evaluation.decision import read_decision
from local.evaluation.pairs import compare, number_texts
from local.model_files.pretrained import load_given
from local.report.page_server import PageServer
from local.report.voices import log_mel_picture, page_files, score_picture
from local.scoring.score_files import read_scores

NAMES = "The first recording", "The second recording"
MAX_SECONDS = 300


def verification_trials(weights):
    """The scores and classes that recipes/verify.py left beside a Path of weights; None if none."""
    path = weights.parent / "verification" / "scores.txt"
    # Older ones are of other weights, and with a cohort they may be no plain cosines.
    is_own = path.is_file() and path.stat().st_mtime >= weights.stat().st_mtime
    if not is_own or path.with_name("cohort.csv").exists():
        return None
    trials, scores = read_scores(path)
    return scores, trials.is_client


def listen(model, recordings):
    """The EmbeddedRecordings of two bytes, and their int16 waveforms; or raises an InputError."""
    problems, rate = Problems(), model["sample_rate"]
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}" for name in NAMES]
        try:
            for path, content in zip(paths, recordings, strict=True):
                with writing(path):
                    Path(path).write_bytes(content)
                info = check_audio(path)
                if info.num_samples > MAX_SECONDS * info.sample_rate:
                    raise InputError(f"{path} has more than {MAX_SECONDS} s: cut out a part")
            embedded = embed_recordings(model, paths, "cpu", problems)
            problems.raise_if_any()
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "")) from error
        return embedded, [read_audio(path, sample_rate=rate) for path in paths]


def answer(model, trials, p_target, *recordings):
    """What the page shows of two recordings, each the bytes of a file, as plain values."""
    embedded, waveforms = listen(model, recordings)
    results = compare(model, embedded, p_target)
    (pair,), threshold = results["pairs"], results["threshold"]
    values, cautions = number_texts(pair), []
    if threshold is not None:
        values["threshold"] = f"{threshold:.4f}"
    pictures = [score_picture(pair["cosine"], threshold, trials)]
    for name, waveform, said in zip(NAMES, waveforms, results["recordings"], strict=True):
        mels, _ = model["features"].log_mel(torch.from_numpy(waveform)[None])
        seconds = len(waveform) / model["sample_rate"]
        pictures.append(log_mel_picture(name, mels[0].numpy(), seconds))
        cautions += [f"{name} {why}" for why in said["cautions"]]
    return {"says": pair["says"], "values": values, "cautions": cautions, "pictures": pictures}


def main(arguments):
    """Serves the page until it is stopped."""
    arguments = arguments if arguments[:1] and arguments[0][0] != "-" else [str(YAML), *arguments]
    _, hparams, _, overrides = command_line.load_hparams(arguments, has_run_options=False)
    model = load_given(hparams["model_dir"], is_default="model_dir" not in overrides)
    trials = verification_trials(Path(model["path"]))
    files = page_files(model["path"], read_decision(model).where)
    of_two = partial(answer, model, trials, hparams["p_target"])
    with PageServer(hparams["port"], files, of_two) as server:
        print(f"http://127.0.0.1:{server.server_port}/ is the page; Ctrl-C ends it", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    command_line.run(main)
