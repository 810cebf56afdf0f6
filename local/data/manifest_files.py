"""Manifests to rows and back: SpeechBrain's CSV, a row for each utterance.

SpeechBrain reads them, too, but takes `$name` in a path for a variable unless its `replacements`
give it back.
"""

import csv

from local.atomic import replacing
from local.errors import InputError

COLUMNS = ("ID", "duration", "wav", "start", "stop", "spk_id")


def read_manifest(path):
    """Yields the rows of a manifest one by one, as there may be millions.

    A row is a dictionary of text, with `COLUMNS` as keys. Raises an InputError if the file can't
    be read, or is no manifest.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise InputError(
                    f"{path}: is no manifest: it needs the columns {', '.join(COLUMNS)}"
                )
            yield from reader
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: can't be read ({reason})") from error


def write_manifest(path, rows):
    """Writes rows as `read_manifest` gives them; other keys are left out."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
