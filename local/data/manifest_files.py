"""Manifests to rows and back: SpeechBrain's CSV, a row for each utterance.

SpeechBrain reads them with `DynamicItemDataset.from_csv(path, replacements=KEEP_DOLLARS)`.
"""

import csv

from local.atomic import replacing
from local.errors import InputError

COLUMNS = ("ID", "duration", "wav", "start", "stop", "spk_id")


class _KeepDollars(dict):
    def __missing__(self, name):
        return f"${name}"


# SpeechBrain replaces `$name` in a CSV as a variable and can't escape it. With these replacements
# it stays as it is, so that a path may hold a dollar sign.
KEEP_DOLLARS = _KeepDollars()


def read_manifest(path):
    """Yields the rows of a manifest one by one, as there may be millions.

    Yields
    ------
    row : dict
        Text, with `COLUMNS` as keys.

    Raises
    ------
    InputError
        If the file can't be read, or is no manifest.
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
