#!/usr/bin/env python3
"""Embeds recordings of any length, rate and number of channels with a trained model.

    python recipes/extract_embeddings.py hparams/embed.yaml --model_dir DIR --files LIST --out FILE

    torchrun --standalone --nproc_per_node=4 recipes/extract_embeddings.py hparams/embed.yaml ...

LIST has a path a line; a Kaldi wav.scp, a folder or audio files will do, too. Recordings that can't
be used are listed at the end. What is embedded stands in FILE.partial until all is: after an
interruption, the same command goes on from there.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "embed.yaml")

import logging

from local.atomic import lock_folder
from local.data.manifest_files import read_manifest
from local.data.manifests import prepare_recordings
from local.embeddings.files import (
    Out,
    check_ids,
    split_format,
    write_alignments,
    write_embeddings,
)
from local.embeddings.kept import Computation, embed_kept, failures_of
from local.embeddings.shards import removing
from local.errors import InputError, Problems
from local.lists.file_lists import MAX_SHOWN, find_recordings
from local.machine import processes, runtime
from local.model_files.model_dir import load_model
from local.scoring.cosine import unit_length

MANIFEST = "recordings.csv"
ROWS_AT_ONCE = 10_000


class AlignmentRecorder:
    """Keeps the weights that the attention pooling of an extractor gave to the last states."""

    def __init__(self, extractor):
        if hasattr(extractor, "members"):
            raise InputError("alignment: this model is an ensemble: give one of its members")
        if not hasattr(extractor.pooling, "alignment"):
            raise InputError("alignment: the pooling of this model has no attention")
        extractor.pooling.register_forward_pre_hook(self._before_pooling)

    def _before_pooling(self, pooling, inputs):
        states, num_states = inputs
        alignment = pooling.alignment(states, num_states)
        self._last = alignment.float().cpu().numpy(), num_states.tolist()

    def last(self):
        """A list, for each recording of the last batch, of float32 (states, heads)."""
        return [alignment[:length] for alignment, length in zip(*self._last, strict=True)]


def load(hparams):
    """The model up to the wanted layer; and an AlignmentRecorder, if the settings ask for one."""
    model = load_model(hparams["model_dir"])
    extractor = model["extractor"].fold()
    try:
        extractor.stop_at(hparams["layer"])
    except ValueError as error:
        raise InputError(str(error)) from error
    if hparams["alignment"] and model["features"].vad != "none":
        raise InputError(
            "alignment: this model leaves out quiet frames (vad): when a state was is not known"
        )
    return model, AlignmentRecorder(extractor) if hparams["alignment"] else None


def prepare(hparams, folder, sample_rate, progress):
    """Finds and checks the recordings, and writes the manifest of those that can be used.

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


def embed(hparams, model, recorder, folder, device, progress):
    """Embeds the manifest of a folder, shared out among the processes: see `embed_kept`."""
    settings = hparams["precision"], hparams["batch_seconds"], hparams["num_workers"]
    computation = Computation(device, *settings, progress)
    layer = hparams["layer"]
    return embed_kept(model, folder / MANIFEST, folder, computation, layer, recorder)


def write(hparams, ids, embedded, failures, folder):
    """Writes what was embedded, and prints where. A folder takes what is not finished."""
    path, file_format = split_format(hparams["out"], hparams["format"])
    rows = [row for row in range(len(ids)) if row not in failures]
    if not rows:
        return
    ids, embeddings = [ids[row] for row in rows], without(embedded.embeddings, failures)
    for first in range(0, len(ids) if hparams["unit_length"] else 0, ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        embeddings[part] = unit_length(embeddings[part], ids[part])
    paths = write_embeddings(Out(path, folder), file_format, ids, embeddings)
    if hparams["alignment"]:
        out = Out(path.with_name(f"{path.name}.alignment"), folder)
        paths += write_alignments(out, file_format, ids, map(embedded.alignment, rows))
    print(f"{len(ids)} embeddings: {', '.join(map(str, paths))}")


def without(embeddings, rows):
    """Moves the other rows together, in place, so that no memory is needed."""
    if not rows:
        return embeddings
    kept = 0
    for row in range(len(embeddings)):
        if row not in rows:
            embeddings[kept] = embeddings[row]
            kept += 1
    return embeddings[:kept]


def extract(hparams, model, recorder, folder, run_opts):
    """Embeds all recordings, writes the result, and returns the Problems of those that failed."""
    progress = not run_opts.noprogressbar
    problems, places = processes.on_first(
        lambda: prepare(hparams, folder, model["sample_rate"], progress)
    )
    embedded = embed(hparams, model, recorder, folder, run_opts.device, progress)

    def finish():
        ids = [row["ID"] for row in read_manifest(folder / MANIFEST)]
        failures = failures_of(embedded, folder / MANIFEST)
        for row, problem in failures.items():
            problems.add(*places[ids[row]], problem)
        write(hparams, ids, embedded, failures, folder)
        return problems

    # An error in the first process ends all of them.
    return processes.on_first(finish)


def main(arguments):
    """Embeds recordings with a model."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _, hparams, run_opts, _ = command_line.load_hparams(arguments, repeatable=["files"])
    if isinstance(hparams["files"], str):
        hparams["files"] = [hparams["files"]]
    out, file_format = split_format(hparams["out"], hparams["format"])
    folder = out.with_name(f"{out.name}.{file_format}.partial")
    run_opts = processes.join_processes(run_opts)
    runtime.keep_freed_memory(run_opts.device)
    model, recorder = load(hparams)
    with removing(folder):
        processes.on_first(lambda: lock_folder(folder))
        problems = extract(hparams, model, recorder, folder, run_opts)
    if problems and processes.rank() == 0:
        print(f"{len(problems)} failed:", file=sys.stderr)
    problems.raise_if_any()


if __name__ == "__main__":
    command_line.run(main)
