"""Utterances in several folders to names below one folder, and the files that say which it is."""

import json
import os
from pathlib import Path
from typing import NamedTuple

from local.atomic import read_text
from local.corpora.lists import write_lines
from local.errors import InputError, Problems
from local.lists.fields import is_text

# Beside the lists: where their paths are looked up.
DATA_DIRS = "data_dirs.json"


class Part(NamedTuple):
    """Utterances of speakers, by their names below a folder."""

    folder: Path
    utterances: dict  # speaker -> list of str


def join_parts(parts):
    """Puts together the utterances of several folders; a speaker may have some in each.

    Returns
    -------
    data_dir : pathlib.Path
        The folder itself if it is only one, else the one that all share.
    utterances : dict
        Speaker -> list of the names below data_dir. If that would be /, names are absolute paths.

    Raises an InputError if a line of a list can't hold a name.

    Example
    -------
    >>> parts = [Part("/data/a", {"anna": ["1"]}), Part("/data/b/c", {"bert": ["2"]})]
    >>> join_parts(parts)
    (PosixPath('/data'), {'anna': ['a/1'], 'bert': ['b/c/2']})
    """
    folders = {os.path.abspath(part.folder) for part in parts}
    data_dir = parts[0].folder if len(folders) == 1 else os.path.commonpath(folders)
    utterances = {}
    for part in parts:
        prefix = prefix_below(data_dir, part.folder)
        for speaker, names in part.utterances.items():
            own = utterances.setdefault(speaker, [])
            own.extend([prefix + name for name in names] if prefix else names)
    check_names(data_dir, (name for own in utterances.values() for name in own))
    return Path(data_dir), utterances


def prefix_below(data_dir, folder):
    """What comes before names below a folder to look them up below data_dir.

    Example
    -------
    >>> prefix_below("/data", "/data/a"), prefix_below("a", "a"), prefix_below("/", "/b")
    ('a/', '', '/b/')
    """
    folder, data_dir = os.path.abspath(folder), os.path.abspath(data_dir)
    if folder == data_dir:
        return ""
    return f"{folder if data_dir == '/' else os.path.relpath(folder, data_dir)}/"


def check_names(folder, names):
    """Raises an InputError if a line of a list can't hold some names of recordings in a folder."""
    problems = Problems()
    for name in names:
        # The encoding first: a name that is not text could not be shown.
        if not name.isascii() and not is_text(name):
            path = os.path.join(folder, name).encode(errors="backslashreplace").decode()
            problems.add(path, None, "is not a UTF-8 name: rename it")
        elif len(name.split()) != 1:
            message = "holds a blank, which separates the fields of a list: rename it"
            problems.add(os.path.join(folder, name), None, message)
    problems.raise_if_any()


def write_data_dirs(out_dir, train_data_dir=None, valid_data_dir=None):
    """Notes beside the lists of out_dir where the paths in them are looked up, for join.py."""
    dirs = {"train_data_dir": train_data_dir, "valid_data_dir": valid_data_dir}
    dirs = {name: os.path.abspath(path) for name, path in dirs.items() if path is not None}
    return write_lines(Path(out_dir) / DATA_DIRS, [json.dumps(dirs, indent=2)])


def read_data_dirs(lists_dir):
    """What `write_data_dirs` noted: a dictionary of absolute paths.

    Raises an InputError if there is no such note, or it is damaged.
    """
    path = Path(lists_dir) / DATA_DIRS
    if not path.is_file():
        raise InputError(
            f"{lists_dir}: there is no {DATA_DIRS}, which the scripts of local/corpora/ write: "
            "name the label file and its data directory by --labels FILE DATA_DIR"
        )
    try:
        dirs = dict(json.loads(read_text(path)))
        return {name: os.fspath(dirs[name]) for name in dirs}
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: is damaged: make the lists again") from error
