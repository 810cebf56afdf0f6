"""Trees of empty files for tests of corpora, which are listed without being opened."""

from pathlib import Path


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
