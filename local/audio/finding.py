"""The name of an utterance in a list to the file that it means."""

import os
import stat
import unicodedata
from functools import lru_cache

# In the order in which they are tried.
EXTENSIONS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".sph")
# How many folders are remembered, by what isn't plain in them.
_MAX_FOLDERS = 4096


def find_file(data_dir, name, extensions=EXTENSIONS):
    """Looks up the file of a name.

    If there are several, it is the one whose extension comes first. Of `a.wav` and `a.WAV`, a name
    with an extension means the one that is written like it, and one without means `a.wav`. Letters
    with accents may be composed in the name and decomposed on the disk, or the reverse.

    Arguments
    ---------
    data_dir : str or Path
    name : str
        With an extension or none; relative to `data_dir` unless it is absolute.
    extensions : tuple of str
        Those to add, in small letters; on the disk they may be in capitals. With `EXTENSIONS`, a
        name may also be that of a file with any other extension, or none.

    Returns
    -------
    found : (str, os.stat_result) or None
        The path, and what the system says of it.
    """
    path = os.path.join(data_dir, name)
    found = _first(_spelled(path, extensions), extensions)
    return found or _first(_respelled(path, extensions), extensions)


def _spelled(path, extensions):
    """The paths to try, one by one, as the first is right nearly always."""
    is_known = path.lower().endswith(extensions)
    if is_known:
        yield path
    for extension in extensions:
        yield path + extension
    if extensions is EXTENSIONS and not is_known:
        yield path


def _first(paths, extensions):
    for path in paths:
        try:
            status = os.stat(path)
        except (OSError, ValueError):  # the latter for characters that no path has
            continue
        # A folder may have the name of a recording, but for the extension.
        if not stat.S_ISDIR(status.st_mode) or path.lower().endswith(extensions):
            return path, status
    return None


def _respelled(path, extensions):
    """The same paths, as they are written on the disk."""
    folder, name = os.path.split(path)
    folder = _folder(folder)
    return (_entry(folder, name) for name in _spelled(name, extensions))


def _folder(path):
    if path.isascii() or os.path.isdir(path):
        return path
    parent, name = os.path.split(path)
    return _entry(_folder(parent), name) if name else path


def _entry(folder, name):
    """The path of what a folder has under a name, perhaps with another spelling."""
    plain = _plain(name)
    try:
        mtime_ns = os.stat(folder).st_mtime_ns
        return os.path.join(folder, _unusual_names(folder, mtime_ns).get(plain, plain))
    except (OSError, ValueError):
        return os.path.join(folder, plain)


@lru_cache(_MAX_FOLDERS)
def _unusual_names(folder, mtime_ns):
    """Plain name -> name, of what is in a folder and has no plain name; of several, the first."""
    del mtime_ns  # part of the key: a folder that has changed is read again
    names = sorted(os.listdir(folder), reverse=True)
    return {plain: name for name in names if (plain := _plain(name)) != name}


def _plain(name):
    """A name with composed letters and an extension in small letters."""
    stem, extension = os.path.splitext(unicodedata.normalize("NFC", name))
    return stem + extension.lower()
