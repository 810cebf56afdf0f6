"""Plain text lists of millions of lines to columns, and these to trials, all at once.

What is unusual is left to the readers that go line by line: they are slower, and find all problems.
"""

import codecs
import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from local.errors import Problems
from local.lists.fields import read_fields
from local.lists.trials import (
    KALDI_LABELS,
    VOXCELEB_LABELS,
    Trials,
    earlier_trials,
    warn_of_repeats,
)

# It bounds the memory in use; larger blocks are no faster.
BYTES_PER_BLOCK = 1 << 22

_NAMES = pa.dictionary(pa.int32(), pa.string())


def read_plain_trials(path):
    """What `local.lists.trials.read_trial_list` gives; None if anything about it is unusual."""
    fields = first_fields(path, "LABEL PATH PATH [CONDITION]")
    is_kaldi = len(fields) > 2 and fields[2] in KALDI_LABELS
    columns = ["enrol", "test", "label"] if is_kaldi else ["label", "enrol", "test"]
    table = read_columns(path, [*columns, "condition"][: len(fields)])
    labels = KALDI_LABELS if is_kaldi else VOXCELEB_LABELS
    trials = None if table is None else trials_of(table, labels)
    if trials is None:
        return None
    warn_of_repeats(earlier_trials(trials), lambda trial: (path, trial + 1))
    lines = np.empty(len(trials.utterances), np.int64)
    sides = np.stack([trials.enrol, trials.test], axis=1).ravel()
    # From the end, so that the line that mentions a name first stays.
    lines[sides[::-1]] = np.repeat(np.arange(1, len(trials) + 1), 2)[::-1]
    return replace(trials, places=[(path, line) for line in lines.tolist()])


def first_fields(path, layout):
    """The fields of the first line, see `read_fields`; none if it is no file, or has none."""
    if not os.path.isfile(path):  # A pipe can be read only once.
        return []
    return next(read_fields(path, layout, Problems()), (0, []))[1]


def read_columns(path, names):
    """The columns of a list, as a table; None if anything about the file is unusual.

    Arguments
    ---------
    path : str or Path
    names : sequence of str
        Of the columns: "score" has numbers, the others have texts. None, if it is no plain file.
    """
    if not names:
        return None
    types = {name: pa.float32() if name == "score" else _NAMES for name in names}
    try:
        num_lines = _num_plain_lines(path)
        if num_lines is None:
            return None
        with pa.OSFile(str(path)) as file:
            table = csv.read_csv(
                file,
                csv.ReadOptions(column_names=list(names), block_size=BYTES_PER_BLOCK),
                csv.ParseOptions(delimiter=" ", quote_char=False),
                csv.ConvertOptions(column_types=types),
            )
    except (pa.ArrowException, UnicodeError, OSError):
        return None
    # Lines that are empty are left out: those behind them would have other numbers.
    return table if len(table) == num_lines else None


def _num_plain_lines(path):
    """How many lines a file has; None if it has control characters but line ends, or a mark."""
    num_lines, last = 0, b"\n"
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BYTES_PER_BLOCK):
            codes = np.frombuffer(block, np.uint8)
            num_ends = np.count_nonzero(codes == ord("\n"))
            is_first = not num_lines and last == b"\n"
            if np.count_nonzero(codes < ord(" ")) != num_ends:
                return None
            if is_first and block.startswith(codecs.BOM_UTF8):
                return None
            num_lines, last = num_lines + num_ends, block[-1:]
    return num_lines + (last != b"\n")


def trials_of(table, labels):
    """The Trials of a table; None if `local.lists.trials.TrialTable` would not take them as well.

    Arguments
    ---------
    table : pyarrow.Table
        With the columns enrol, test, label and perhaps condition, from `read_columns`.
    labels : dict
        What a label means: whether the trial is of a client.

    Returns
    -------
    trials : local.lists.trials.Trials or None
        Its `places` are empty.
    """
    utterances, (enrol, test) = _indexed(table["enrol"], table["test"])
    found, (label,) = _indexed(table["label"])
    names, condition = [], None
    if "condition" in table.column_names:
        names, (condition,) = _indexed(table["condition"])
    if "" in [*utterances, *names] or set(found) - set(labels):
        return None
    is_client = np.array([labels[name] for name in found])[label]
    trials = Trials(utterances, enrol, test, is_client, [], names, condition)
    is_usual = 0 < np.count_nonzero(is_client) < len(trials) and not _has_conflict(trials)
    return trials if is_usual else None


def _has_conflict(trials):
    """Whether a pair is a client and an impostor trial, or an utterance meets itself."""
    low, high = np.minimum(trials.enrol, trials.test), np.maximum(trials.enrol, trials.test)
    pairs = low.astype(np.int64) * len(trials.utterances) + high
    clients, impostors = pairs[trials.is_client], pairs[~trials.is_client]
    repeated = pc.is_in(pa.array(impostors), value_set=pa.array(clients))
    return bool((low == high).any() or pc.any(repeated).as_py())


def _indexed(*columns):
    """The names of columns in the order of first mention, and the indices of each column."""
    column = pa.chunked_array([chunk for column in columns for chunk in column.chunks])
    chunks = column.unify_dictionaries().chunks
    indices = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])
    rows = indices.reshape(len(columns), -1).T
    mentioned = pa.array(rows.ravel()).unique().to_numpy()
    rank = np.empty(len(mentioned), np.int32)
    rank[mentioned] = np.arange(len(mentioned))
    return chunks[0].dictionary.take(pa.array(mentioned)).to_pylist(), list(rank[rows].T.copy())
