"""For tests of corpora: trees of empty files, listed without being opened, and checks."""

from pathlib import Path

import pytest

from local.errors import InputError


def check_messages(call, *messages):
    """Checks that a call raises an InputError that says all of the messages."""
    with pytest.raises(InputError) as raised:
        call()
    for message in messages:
        assert message in str(raised.value)


def touch(root, *names):
    """Makes empty files, and their folders."""
    for name in names:
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write(path, *lines):
    """Writes a text file of these lines, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_fields(path):
    """The fields of each line of a list."""
    return [line.split(" ") for line in path.read_text(encoding="utf-8").splitlines()]


def texts(folder):
    """Name -> text of the files in a folder; empty if there is no folder."""
    files = Path(folder).iterdir() if Path(folder).exists() else ()
    return {path.name: path.read_text(encoding="utf-8") for path in files}


def speakers_of(out):
    """The speakers that a corpus script has written to a folder, in the order of their labels."""
    return [speaker for _, speaker in read_fields(out / "speakers.txt")]
