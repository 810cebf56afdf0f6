"""Embeddings to files that other tools read: numpy's, Kaldi's, and CSV."""

import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from local.atomic import replacing
from local.errors import InputError

_ROWS_AT_ONCE = 10_000


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


class Out(NamedTuple):
    """Files whose names begin with a path, and a folder on its disk for what is not finished."""

    path: Path
    folder: Path | None = None

    def final(self, extension):
        """The path of a file."""
        return self.path.with_name(self.path.name + extension)

    def write(self, extension, write):
        """Has write(file) write a file, whole or not at all; returns a list of its path."""
        final = self.final(extension)
        with replacing(final, folder=self.folder) as temporary, open(temporary, "wb") as file:
            write(file)
        return [final]


def write_embeddings(out, file_format, ids, embeddings):
    """Writes embeddings, and returns the paths of the files.

    Arguments
    ---------
    out : Out
    file_format : str
        "npz": `.npz` with `ids` and `embeddings`; "npy": `.npy`, and `.ids.txt` with an ID a line;
        "ark": Kaldi's vectors, `.ark` and `.scp`; "csv": `.csv` with an embedding a line.
    ids : list of str
    embeddings : np.ndarray
        float32 (num_recordings, embedding_size); it may be mapped from a file, and isn't copied.

    Raises
    ------
    InputError
        If it can't be written.
    """
    return WRITERS[file_format](out, ids, embeddings)


def write_alignments(out, file_format, ids, alignments):
    """Writes attention weights, float32 (states, heads) for each ID; see `write_embeddings`.

    They are Kaldi's matrices for "ark", and else an `.npz` with an array for each ID.
    """
    if file_format == "ark":
        return _write_ark(out, ids, alignments)
    return out.write(".npz", lambda file: _save_arrays(file, ids, alignments))


def _save_arrays(file, ids, arrays):
    """Does what np.savez does, which takes an array called "file" for its own argument."""
    with zipfile.ZipFile(file, "w") as archive:
        for identity, array in zip(ids, arrays, strict=True):
            with archive.open(f"{identity}.npy", "w") as member:
                np.save(member, array, allow_pickle=False)


def _write_npz(out, ids, embeddings):
    arrays = {"ids": np.array(ids), "embeddings": embeddings}
    return out.write(".npz", lambda file: np.savez(file, **arrays))


def _write_npy(out, ids, embeddings):
    lines = "".join(f"{identity}\n" for identity in ids).encode()
    names = out.write(".ids.txt", lambda file: file.write(lines))
    return out.write(".npy", lambda file: np.save(file, embeddings)) + names


def _write_ark(out, ids, arrays):
    import kaldiio

    lines, arrays = io.StringIO(), iter(arrays)
    # Absolute, so that Kaldi can read it from any directory.
    final = out.final(".ark").absolute()

    def write(file):
        for first in range(0, len(ids), _ROWS_AT_ONCE):
            block = zip(ids[first : first + _ROWS_AT_ONCE], arrays, strict=False)
            table = io.StringIO()
            kaldiio.save_ark(file, dict(block), scp=table)
            lines.write(table.getvalue().replace(f" {file.name}:", f" {final}:"))

    paths = out.write(".ark", write)
    return paths + out.write(".scp", lambda file: file.write(lines.getvalue().encode()))


def _write_csv(out, ids, embeddings):
    import pyarrow as pa
    from pyarrow import csv

    names = ["id", *(f"e{place}" for place in range(embeddings.shape[1]))]
    types = [pa.string()] + [pa.float32()] * embeddings.shape[1]
    schema = pa.schema(zip(names, types, strict=True))
    options = csv.WriteOptions(quoting_style="needed")

    def write(file):
        with csv.CSVWriter(file, schema, write_options=options) as writer:
            for first in range(0, len(ids), _ROWS_AT_ONCE):
                rows = slice(first, first + _ROWS_AT_ONCE)
                columns = [pa.array(ids[rows]), *map(pa.array, embeddings[rows].T)]
                writer.write(pa.table(columns, schema))

    return out.write(".csv", write)


WRITERS = {"npz": _write_npz, "npy": _write_npy, "ark": _write_ark, "csv": _write_csv}
