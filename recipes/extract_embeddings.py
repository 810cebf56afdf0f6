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

import logging
import shutil
import tempfile
from collections import ChainMap

from local.atomic import writing
from local.data.manifest_files import read_manifest
from local.data.manifests import prepare_recordings
from local.embeddings.embed import embed_share, utterance_loader
from local.embeddings.files import check_ids, split_format, write_alignments, write_embeddings
from local.errors import InputError, Problems
from local.lists.file_lists import MAX_SHOWN, find_recordings
from local.machine import processes, runtime
from local.model_files.model_dir import load_model
from local.scoring.cosine import unit_length

MANIFEST = "recordings.csv"


class AlignmentRecorder:
    """Keeps the weights that the attention pooling of an extractor gives to states.

    Its `alignments` are a dictionary, row of the manifest -> float32 (states, heads).
    """

    def __init__(self, extractor):
        if not hasattr(extractor.pooling, "alignment"):
            raise InputError("alignment: the pooling of this model has no attention")
        self.alignments = {}
        extractor.pooling.register_forward_pre_hook(self._before_pooling)

    def _before_pooling(self, pooling, inputs):
        states, num_states = inputs
        alignment = pooling.alignment(states, num_states)
        self._batch = alignment.float().cpu().numpy(), num_states.tolist()

    def after_batch(self, batch):
        """Assigns the last weights to the recordings of a `local.embeddings.embed.Utterances`."""
        for place, index in enumerate(batch.indices):
            alignment, num_states = self._batch
            self.alignments[index] = alignment[place, : num_states[place]].copy()


def load(hparams):
    """The model up to the wanted layer; and an AlignmentRecorder, if the settings ask for one."""
    model = load_model(hparams["model_dir"])
    extractor = model["extractor"]
    try:
        extractor.head = extractor.head.up_to(hparams["layer"])
    except ValueError as error:
        raise InputError(str(error)) from error
    return model, AlignmentRecorder(extractor) if hparams["alignment"] else None


def make_folder(out):
    """Makes a folder for temporary files, beside the output."""
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))


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


def embed(hparams, model, recorder, manifest_path, device, progress):
    """Embeds a manifest, shared out among the processes.

    Returns
    -------
    embeddings : np.ndarray
        float32 (num_recordings, size) in the first process, rows of failures unset; None in others.
    failures : dict
        Row of the manifest -> what is wrong.
    alignments : dict
        Row of the manifest -> float32 (states, heads), if the settings ask for them.
    """
    processes.check_shared(manifest_path)
    num_workers = runtime.num_reading_workers(hparams["num_workers"], device)
    options = model["sample_rate"], hparams["batch_seconds"], num_workers
    loader = utterance_loader(manifest_path, *options, keep_going=True)
    failures, alignments = {}, recorder.alignments if recorder else {}

    def after_batch(batch):
        failures.update(batch.failures)
        if recorder:
            recorder.after_batch(batch)

    precision = runtime.precision(hparams["precision"], device)
    indices, rows = embed_share(
        model["features"],
        model["extractor"],
        loader,
        device,
        precision,
        progress,
        after_batch=after_batch,
    )
    embeddings = processes.gather_rows(indices, rows, len(loader.dataset), device)
    shares = processes.gather((failures, alignments))
    if embeddings is None:
        return None, {}, {}
    return embeddings.numpy(), *(dict(ChainMap(*parts)) for parts in zip(*shares, strict=True))


def write(hparams, ids, embeddings, failures, alignments):
    """Writes what was embedded, and prints where."""
    path, file_format = split_format(hparams["out"], hparams["format"])
    rows = [row for row in range(len(ids)) if row not in failures]
    if not rows:
        return
    embeddings, ids = embeddings[rows], [ids[row] for row in rows]
    if hparams["unit_length"]:
        embeddings = unit_length(embeddings, ids)
    paths = write_embeddings(path, file_format, ids, embeddings)
    if hparams["alignment"]:
        path = path.with_name(f"{path.name}.alignment")
        paths += write_alignments(path, file_format, ids, [alignments[row] for row in rows])
    print(f"{len(ids)} embeddings: {', '.join(map(str, paths))}")


def extract(hparams, model, recorder, folder, run_opts):
    """Embeds all recordings, writes the result, and raises an InputError if some failed."""
    progress = not run_opts.noprogressbar
    problems, places = processes.on_first(
        lambda: prepare(hparams, folder, model["sample_rate"], progress)
    )
    manifest = folder / MANIFEST
    embedded = embed(hparams, model, recorder, manifest, run_opts.device, progress)

    def finish():
        ids = [row["ID"] for row in read_manifest(manifest)]
        _, failures, _ = embedded
        for row, problem in failures.items():
            problems.add(*places[ids[row]], problem)
        write(hparams, ids, *embedded)
        if problems:
            print(f"{len(problems)} failed:", file=sys.stderr)
        problems.raise_if_any()

    # An error in the first process ends all of them.
    processes.on_first(finish)


def main(arguments):
    """Embeds recordings with a model."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _, hparams, run_opts, _ = command_line.load_hparams(arguments, repeatable="files")
    if isinstance(hparams["files"], str):
        hparams["files"] = [hparams["files"]]
    out, _ = split_format(hparams["out"], hparams["format"])
    run_opts = processes.join_processes(run_opts)
    runtime.keep_freed_memory(run_opts.device)
    model, recorder = load(hparams)
    folder = processes.on_first(lambda: make_folder(out))
    try:
        extract(hparams, model, recorder, folder, run_opts)
    finally:
        if processes.rank() == 0:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    command_line.run(main)
