"""Manifests to rows and back: SpeechBrain's CSV, a row for each utterance.

SpeechBrain reads them, too, but takes `$name` in a path for a variable unless its `replacements`
give it back.
"""

import csv
import itertools

from local.atomic import replacing
from local.errors import InputError

COLUMNS = ("ID", "duration", "wav", "start", "stop", "spk_id")
# A last column, where some utterances are one channel of a recording: its number, from 1, or 0.
CHANNEL = "channel"


def read_manifest(path):
    """Yields the rows of a manifest one by one, as there may be millions.

    A row is a dictionary of text, with `COLUMNS` and perhaps `CHANNEL` as keys. Raises an
    InputError if the file can't be read, or is no manifest.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            yield from _rows(csv.reader(file), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
        reason = getattr(error, "strerror", None) or reason
        raise InputError(f"{path}: can't be read ({reason})") from error


def _rows(reader, path):
    # csv.DictReader takes twice as long, and lets rows of other lengths pass.
    header = next(reader, [])
    if not set(COLUMNS) <= set(header):
        raise InputError(f"{path}: is no manifest: it needs the columns {', '.join(COLUMNS)}")
    for row in reader:
        if len(row) == len(header):
            yield dict(zip(header, row, strict=True))
        elif row:
            raise InputError(
                f"{path}:{reader.line_num}: expected {len(header)} columns, but found {len(row)}"
            )


def place_of(row):
    """What is read of a row: (path, start, stop, channel), of which channel 0 is the mean of all.

    Example
    -------
    >>> place_of({"ID": "call1#t=1,2", "wav": "call1.wav", "start": "8000", "stop": "16000"})
    ('call1.wav', 8000, 16000, 0)
    """
    return row["wav"], int(row["start"]), int(row["stop"]), int(row.get(CHANNEL, 0))


def write_manifest(path, rows):
    """Writes rows as `read_manifest` gives them; other keys are left out."""
    rows = iter(rows)
    first = list(itertools.islice(rows, 1))
    columns = (*COLUMNS, CHANNEL) if first and CHANNEL in first[0] else COLUMNS
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(itertools.chain(first, rows))
