"""Embeddings to files that other tools read: numpy's, Kaldi's, and CSV."""

import io
import zipfile
from pathlib import Path

import numpy as np

from local.atomic import replacing
from local.errors import InputError


def split_format(out, file_format=None):
    """The path without its extension, and the format that the extension or the setting names.

    Raises an InputError if the format is unknown.

    Example
    -------
    >>> split_format("results/embeddings.ark"), split_format("embeddings.v2")
    ((PosixPath('results/embeddings'), 'ark'), (PosixPath('embeddings.v2'), 'npz'))
    """
    path = Path(out)
    if path.suffix[1:] in WRITERS and file_format in (None, path.suffix[1:]):
        return path.with_suffix(""), path.suffix[1:]
    if file_format is not None and file_format not in WRITERS:
        raise InputError(f"format is one of {', '.join(WRITERS)}, not {file_format!r}")
    return path, file_format or "npz"


def check_ids(ids, file_format):
    """Raises an InputError if a format can't hold one of the IDs."""
    if file_format != "ark":
        return
    for identity in ids:
        if len(identity.split()) != 1:
            raise InputError(f"'{identity}': an ID in Kaldi's files can't hold blanks: use npz")


def write_embeddings(path, file_format, ids, embeddings):
    """Writes embeddings, and returns the paths of the files.

    Arguments
    ---------
    path : Path
        Without extension; its folder must exist.
    file_format : str
        "npz": `.npz` with `ids` and `embeddings`; "npy": `.npy`, and `.ids.txt` with an ID a line;
        "ark": Kaldi's vectors, `.ark` and `.scp`; "csv": `.csv` with an embedding a line.
    ids : list of str
    embeddings : np.ndarray
        float32 (num_recordings, embedding_size)

    Raises
    ------
    InputError
        If it can't be written.
    """
    return WRITERS[file_format](path, ids, embeddings)


def write_alignments(path, file_format, ids, alignments):
    """Writes attention weights, float32 (states, heads) for each ID; see `write_embeddings`.

    They are Kaldi's matrices for "ark", and else an `.npz` with an array for each ID.
    """
    if file_format == "ark":
        return _write_ark(path, ids, alignments)
    return _write(path, ".npz", lambda file: _save_arrays(file, ids, alignments))


def _save_arrays(file, ids, arrays):
    """Does what np.savez does, which takes an array called "file" for its own argument."""
    with zipfile.ZipFile(file, "w") as archive:
        for identity, array in zip(ids, arrays, strict=True):
            with archive.open(f"{identity}.npy", "w") as member:
                np.save(member, array, allow_pickle=False)


def _write(path, extension, write):
    final = path.with_name(path.name + extension)
    with replacing(final) as temporary, open(temporary, "wb") as file:
        write(file)
    return [final]


def _write_npz(path, ids, embeddings):
    arrays = {"ids": np.array(ids), "embeddings": embeddings}
    return _write(path, ".npz", lambda file: np.savez(file, **arrays))


def _write_npy(path, ids, embeddings):
    lines = "".join(f"{identity}\n" for identity in ids).encode()
    names = _write(path, ".ids.txt", lambda file: file.write(lines))
    return _write(path, ".npy", lambda file: np.save(file, embeddings)) + names


def _write_ark(path, ids, arrays):
    import kaldiio

    ark, scp = path.with_name(path.name + ".ark"), io.StringIO()
    with replacing(ark) as temporary:
        kaldiio.save_ark(str(temporary), dict(zip(ids, arrays, strict=True)), scp=scp)
    # Absolute, so that Kaldi can read it from any directory.
    table = scp.getvalue().replace(f" {temporary}:", f" {ark.absolute()}:").encode()
    return [ark, *_write(path, ".scp", lambda file: file.write(table))]


def _write_csv(path, ids, embeddings):
    import pyarrow as pa
    from pyarrow import csv

    columns = {"id": ids} | {f"e{place}": column for place, column in enumerate(embeddings.T)}
    options = csv.WriteOptions(quoting_style="needed")
    return _write(path, ".csv", lambda file: csv.write_csv(pa.table(columns), file, options))


WRITERS = {"npz": _write_npz, "npy": _write_npy, "ark": _write_ark, "csv": _write_csv}
