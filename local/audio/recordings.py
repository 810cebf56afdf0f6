"""Recordings in a folder for each speaker: finds them, and names them as the lists do."""

import os
from pathlib import Path

from local.audio.reading import EXTENSIONS
from local.errors import InputError, Problems

_BLANKS = set(" \t\n\r\v\f")


def find_utterances(folder):
    """Finds the recordings of each speaker.

    Hidden files and folders are left out, links are followed.

    Arguments
    ---------
    folder : pathlib.Path
        Holds a folder for each speaker.

    Returns
    -------
    utterances : dict
        Speaker -> sorted list of the names of the utterances: paths under `folder`, without
        the extension where the recipe finds the file without it.

    Raises
    ------
    InputError
        If there are no recordings, or some have names that a list can't hold.
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
    """Returns the name that a list gives to an audio file.

    Example
    -------
    >>> utterance_name("anna/session.1/a.flac")
    'anna/session.1/a'
    >>> utterance_name("anna/A.WAV"), utterance_name("anna/a.wav.flac")  # not found without it
    ('anna/A.WAV', 'anna/a.wav.flac')
    """
    stem, extension = os.path.splitext(path)
    is_found = extension in EXTENSIONS and not stem.lower().endswith(EXTENSIONS)
    return stem if is_found else path


def audio_files(folder):
    """Yields the paths of the audio files under a folder, relative to it, in a fixed order.

    Raises
    ------
    InputError
        If a folder can't be read.
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
    """Says whether a subfolder is a link to a folder above it, where a walk would never end."""
    subfolder = Path(current, name)
    return subfolder.is_symlink() and Path(current).resolve().is_relative_to(subfolder.resolve())


def _check_names(folder, paths, problems):
    """Reports names that a line of a list can't hold, each folder or file once."""
    reported = set()
    for path in paths:
        parts = Path(path).parts
        for depth, part in enumerate(parts, 1):
            place = parts[:depth]
            fault = _name_fault(part)
            if fault and place not in reported:
                reported.add(place)
                problems.add(_printable(folder.joinpath(*place)), None, fault)


def _printable(path):
    return str(path).encode(errors="backslashreplace").decode()


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
    homeless = 0
    for name in names:
        speaker, *rest = Path(name).parts
        if rest:
            utterances.setdefault(speaker, []).append(name)
        else:
            homeless += 1
    if not utterances:
        raise InputError(
            f"{folder}: no audio ({' '.join(EXTENSIONS)}) in folders of speakers; "
            f"{homeless} recordings lie in {folder} itself"
        )
    if homeless:
        print(f"{folder}: {homeless} recordings lie in no folder of a speaker and are left out")
    return utterances
