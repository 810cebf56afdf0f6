#!/usr/bin/env python3
"""Embeds recordings of any length, rate and number of channels with a trained model.

    python recipes/extract_embeddings.py hparams/embed.yaml --model_dir DIR --files LIST --out FILE

    torchrun --standalone --nproc_per_node=4 recipes/extract_embeddings.py hparams/embed.yaml ...

LIST has a path a line; a Kaldi wav.scp, a folder or audio files will do, too. Recordings that can't
be used are listed at the end.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "embed.yaml")

import functools
import logging
import operator
import shutil
import tempfile
from typing import NamedTuple

import numpy as np

from local.atomic import writing
from local.data.manifest_files import read_manifest
from local.data.manifests import prepare_recordings
from local.embeddings.alignment import AlignmentRecorder
from local.embeddings.embed import embed_share, utterance_loader
from local.embeddings.files import check_ids, split_format, write_alignments, write_embeddings
from local.errors import InputError, Problems
from local.lists.file_lists import MAX_SHOWN, find_recordings
from local.machine import processes, runtime
from local.model_files.model_dir import load_model
from local.scoring.cosine import unit_length

MANIFEST = "recordings.csv"


def load(hparams):
    """The model, cut behind the wanted layer; and the AlignmentRecorder, if there is to be one."""
    model = load_model(hparams["model_dir"])
    extractor = model["extractor"]
    try:
        extractor.head = extractor.head.up_to(hparams["layer"])
    except ValueError as error:
        raise InputError(str(error)) from error
    return model, AlignmentRecorder(extractor) if hparams["alignment"] else None


def make_folder(out):
    """A folder for what is needed while working, beside the output."""
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))


def prepare(hparams, folder, sample_rate, progress):
    """Finds and checks the recordings, and writes the manifest of those that are sound.

    Returns
    -------
    problems : Problems
        Of the others.
    places : dict
        The ID of a recording -> (path, line) where it is mentioned.
    """
    if not hparams["files"]:
        raise InputError("files: give a list, a folder, or audio files (--files)")
    problems = Problems(MAX_SHOWN)
    recordings = find_recordings(hparams["files"], problems)
    check_ids(recordings.ids, split_format(hparams["out"], hparams["format"])[1])
    manifest = prepare_recordings(
        recordings, hparams["data_dir"], folder / MANIFEST, problems, sample_rate, progress
    )
    if not manifest.num_utterances:
        problems.raise_if_any()
    return problems, dict(zip(recordings.ids, recordings.places, strict=True))


class Embedded(NamedTuple):
    """What came out of a manifest, in the first process.

    Arguments
    ---------
    embeddings : np.ndarray
        float32 (num_recordings, size); rows of those that failed are unset.
    failures : dict
        Row -> what is wrong.
    alignments : dict
        Row -> float32 (states, heads), if they were asked for.
    """

    embeddings: np.ndarray
    failures: dict
    alignments: dict


def embed(hparams, model, recorder, manifest_path, device, progress):
    """Embeds a manifest, shared out among the processes: Embedded in the first, None in others."""
    processes.check_shared(manifest_path)
    loader = utterance_loader(
        manifest_path,
        model["sample_rate"],
        hparams["batch_seconds"],
        runtime.num_reading_workers(hparams["num_workers"], device),
        keep_going=True,
    )
    failures = {}

    def after_batch(batch):
        failures.update(batch.failures)
        if recorder:
            recorder.after_batch(batch)

    indices, rows = embed_share(
        model["features"],
        model["extractor"],
        loader,
        device,
        runtime.precision(hparams["precision"], device),
        progress,
        after_batch=after_batch,
    )
    embeddings = processes.gather_rows(indices, rows, len(loader.dataset), device)
    shares = processes.gather((failures, recorder.alignments if recorder else {}))
    if embeddings is None:
        return None
    failures, alignments = (
        functools.reduce(operator.or_, parts) for parts in zip(*shares, strict=True)
    )
    return Embedded(embeddings.numpy(), failures, alignments)


def write(hparams, ids, embedded):
    """Writes what was embedded, and says where."""
    path, file_format = split_format(hparams["out"], hparams["format"])
    rows = [row for row in range(len(ids)) if row not in embedded.failures]
    if not rows:
        return
    embeddings, ids = embedded.embeddings[rows], [ids[row] for row in rows]
    if hparams["unit_length"]:
        embeddings = unit_length(embeddings, ids)
    paths = write_embeddings(path, file_format, ids, embeddings)
    if hparams["alignment"]:
        path = path.with_name(f"{path.name}.alignment")
        alignments = [embedded.alignments[row] for row in rows]
        paths += write_alignments(path, file_format, ids, alignments)
    print(f"{len(ids)} embeddings: {', '.join(map(str, paths))}")


def extract(hparams, model, recorder, folder, run_opts):
    """Embeds all recordings and writes what came out.

    Raises
    ------
    InputError
        At the end, if some of them failed.
    """
    progress = not run_opts.noprogressbar
    problems, places = processes.on_first(
        lambda: prepare(hparams, folder, model["sample_rate"], progress)
    )
    manifest = folder / MANIFEST
    embedded = embed(hparams, model, recorder, manifest, run_opts.device, progress)

    def finish():
        ids = [row["ID"] for row in read_manifest(manifest)]
        for row, problem in embedded.failures.items():
            problems.add(*places[ids[row]], problem)
        write(hparams, ids, embedded)
        if problems:
            print(f"{len(problems)} failed:", file=sys.stderr)
        problems.raise_if_any()

    # What failed ends all processes.
    processes.on_first(finish)


def main(arguments):
    """Embeds recordings with a model."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    runtime.keep_freed_memory()
    _, hparams, run_opts, _ = command_line.load_hparams(arguments, repeatable="files")
    if isinstance(hparams["files"], str):
        hparams["files"] = [hparams["files"]]
    out, _ = split_format(hparams["out"], hparams["format"])
    run_opts = processes.join_processes(run_opts)
    model, recorder = load(hparams)
    folder = processes.on_first(lambda: make_folder(out))
    try:
        extract(hparams, model, recorder, folder, run_opts)
    finally:
        if processes.rank() == 0:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    command_line.run(main)
