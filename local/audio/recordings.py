"""A folder to the recordings in it, under the names that lists give them."""

import os
from pathlib import Path

from local.audio.finding import EXTENSIONS
from local.errors import InputError, Problems

_BLANKS = set(" \t\n\r\v\f")


def find_utterances(folder):
    """Finds the recordings of each speaker; leaves out hidden files, and follows links.

    Returns a dictionary, speaker -> sorted list of the names of the utterances (see
    `utterance_name`), of the folders of speakers in the pathlib.Path `folder`. Raises an
    InputError if there are no recordings, or some have names that a list can't hold.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder")
    files = {}
    problems = Problems()
    for path in audio_files(folder):
        name = utterance_name(path)
        if name in files:
            problems.add(folder / path, None, f"has the name of {files[name]}: remove one of them")
        files.setdefault(name, path)
    _check_names(folder, files.values(), problems)
    problems.raise_if_any()
    return _by_speaker(folder, sorted(files))


def utterance_name(path):
    """The name of an audio file in lists: without extension, if the file is found without it.

    Example
    -------
    >>> utterance_name("anna/session.1/a.flac")
    'anna/session.1/a'
    >>> utterance_name("anna/A.WAV"), utterance_name("anna/a.wav.flac")
    ('anna/A', 'anna/a.wav.flac')
    """
    stem, extension = os.path.splitext(path)
    is_found = extension.lower() in EXTENSIONS and not stem.lower().endswith(EXTENSIONS)
    return stem if is_found else path


def audio_files(folder):
    """Yields the audio files below a folder, as paths relative to it, in a fixed order.

    Raises an InputError if a folder can't be read.
    """
    for current, subfolders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        subfolders[:] = sorted(
            name for name in subfolders if name[0] != "." and not _leads_back(current, name)
        )
        for name in sorted(files):
            if name[0] != "." and name.lower().endswith(EXTENSIONS):
                yield os.path.relpath(os.path.join(current, name), folder)


def _refuse(error):
    raise InputError(f"{error.filename}: can't be read ({error.strerror})")


def _leads_back(current, name):
    """Whether a subfolder is a link to a folder above it, where a walk would never end."""
    subfolder = Path(current, name)
    return subfolder.is_symlink() and Path(current).resolve().is_relative_to(subfolder.resolve())


def _check_names(folder, paths, problems):
    """Reports names that a line of a list can't hold, each folder or file once."""
    places = {place for path in paths for place in (Path(path), *Path(path).parents)}
    for place in sorted(places):
        fault = _name_fault(place.name)
        if fault:
            printable = str(folder / place).encode(errors="backslashreplace").decode()
            problems.add(printable, None, fault)


def _name_fault(name):
    if _BLANKS & set(name):
        return "holds a blank, which separates the fields of a list: rename it, for example with _"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "is not a UTF-8 name: rename it"
    return None


def _by_speaker(folder, names):
    utterances = {}
    for name in names:
        utterances.setdefault(Path(name).parts[:-1][:1], []).append(name)
    num_outside = len(utterances.pop((), []))
    if not utterances:
        raise InputError(
            f"{folder}: no audio ({' '.join(EXTENSIONS)}) in folders of speakers; "
            f"{num_outside} recordings are in {folder} itself"
        )
    if num_outside:
        print(f"{folder}: {num_outside} recordings are in no folder of a speaker and are left out")
    return {speaker: own for (speaker,), own in utterances.items()}
