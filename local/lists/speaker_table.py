"""A table of speakers (sex, age, ...) to the value of each speaker in each column."""

import csv

from local.atomic import read_text
from local.errors import InputError, Problems


def read_speaker_table(path):
    """Reads a table of speakers: a line of column names, then a line for each speaker.

    The first line decides what separates columns: tabs if it has any, else commas, else blanks.
    The first column is the speaker. Empty values are unknown.

    Arguments
    ---------
    path : str or Path
        UTF-8 text.

    Returns
    -------
    table : dict
        Column -> speaker -> value, both str.

    Raises
    ------
    InputError
        If the file can't be read, has no columns, or a line is wrong.
    """
    problems = Problems()
    rows = _rows(path)
    _, header = next(rows, (0, []))
    if len(header) < 2:
        raise InputError(f"{path}: expected a first line of columns such as 'speaker,sex,age'")
    table = {column: {} for column in header[1:]}
    seen = set()
    for line, row in rows:
        if len(row) != len(header):
            problems.add(path, line, f"expected {len(header)} columns, but found {len(row)}")
        elif row[0] in seen:
            problems.add(path, line, f"speaker '{row[0]}' is there twice")
        else:
            seen.add(row[0])
            for column, value in zip(header[1:], row[1:], strict=True):
                if value:
                    table[column][row[0]] = value
    problems.raise_if_any()
    return table


def _rows(path):
    """Yields (line, list of str) of the lines that are not empty."""
    lines = read_text(path, "utf-8-sig").splitlines()
    header = next((line for line in lines if line.strip()), "")
    mark = next((mark for mark in "\t," if mark in header), None)
    split = (lambda line: next(csv.reader([line], delimiter=mark))) if mark else str.split
    for number, line in enumerate(lines, 1):
        try:
            row = split(line) if line.strip() else []
        except csv.Error as error:  # a field of 100 kB, for example
            raise InputError(f"{path}:{number}: {error}") from error
        if row:
            yield number, [value.strip() for value in row]
