"""A corpus on a disk to the recordings of its speakers, from the names of files alone.

Millions of files are neither opened nor asked for their size: only folders are read.
"""

import os
import re
from typing import NamedTuple

from local.audio.finding import EXTENSIONS
from local.errors import InputError

# A corpus may be some folders below the one that was given.
_MAX_DEPTH = 6


class Tree(NamedTuple):
    """The recordings of speakers below a folder."""

    readable: dict  # speaker -> sorted list of names, without extension
    unread: dict  # speaker -> sorted list of paths of those that libsndfile doesn't read
    num_repeats: int  # that are there in another folder, too, and left out


def read_tree(folder, pattern, levels, is_wanted=None, unread=()):
    """The recordings of all speakers below a folder.

    The same recording may be there twice, for example as .m4a and converted: one that can be read
    is taken.

    Arguments
    ---------
    folder : str or Path
    pattern : str
        A regular expression for the names of speakers' folders.
    levels : int
        How many folders are between that of a speaker and a recording.
    is_wanted : callable, optional
        Tells from a speaker and the path of a folder of theirs whether to take it.
    unread : tuple of str
        Extensions of recordings that can't be read as they are, and are wanted, too.

    Returns
    -------
    tree : Tree
        Names and paths are relative to the folder.
    """
    tree, num_repeats = Tree({}, {}, 0), 0
    for speaker, places in sorted(speaker_folders(folder, pattern).items()):
        best = {}  # recording -> (whether it is unread, path without and with its extension)
        for place in places:
            if is_wanted and not is_wanted(speaker, place):
                continue
            place_path = os.path.join(folder, place)
            for name, extension in recordings(place_path, levels, EXTENSIONS + unread):
                found = extension.lower() in unread, f"{place}/{name}", extension
                num_repeats += name in best and best[name][0] == found[0]
                if name not in best or best[name][0] > found[0]:
                    best[name] = found
        for is_unread, names in ((False, tree.readable), (True, tree.unread)):
            own = [place for place in best.values() if place[0] == is_unread]
            if own:
                names[speaker] = sorted(name + extension * is_unread for _, name, extension in own)
    return tree._replace(num_repeats=num_repeats)


def speaker_folders(folder, pattern):
    """Finds the folders of speakers, some levels below a folder; in them it doesn't look.

    Returns a dictionary, speaker -> sorted list of paths relative to the folder, of folders whose
    names match the pattern.

    Example
    -------
    >>> import tempfile
    >>> root = tempfile.mkdtemp()
    >>> for path in ("dev/wav/id00012", "test/wav/id00012", "dev/txt"):
    ...     os.makedirs(os.path.join(root, path))
    >>> speaker_folders(root, r"id\\d{5}")
    {'id00012': ['dev/wav/id00012', 'test/wav/id00012']}
    """
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: is not a folder")
    found, to_read = {}, [("", 0)]
    while to_read:
        place, depth = to_read.pop()
        for name in _subfolders(os.path.join(folder, place)):
            path = f"{place}/{name}" if place else name
            if re.fullmatch(pattern, name):
                found.setdefault(name, []).append(path)
            elif depth < _MAX_DEPTH and name[0] != ".":
                to_read.append((path, depth + 1))
    return {speaker: sorted(places) for speaker, places in found.items()}


def recordings(folder, levels, extensions=EXTENSIONS):
    """Yields the (name, extension) of the recordings so many levels below a folder.

    A name is the path relative to the folder, without the extension. Hidden ones are left out.
    """
    if levels:
        for name in _subfolders(folder):
            for path, extension in recordings(f"{folder}/{name}", levels - 1, extensions):
                yield f"{name}/{path}", extension
        return
    for entry in _entries(folder):
        stem, extension = os.path.splitext(entry.name)
        if extension.lower() in extensions and stem[0] != ".":
            yield stem, extension


def _subfolders(folder):
    return [entry.name for entry in _entries(folder) if entry.is_dir()]


def _entries(folder):
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise InputError(f"{folder}: can't be read ({error.strerror})") from error
