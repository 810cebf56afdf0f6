"""What a user names (a list, a folder, a wav.scp or audio files) to a list of recordings."""

import os
from typing import NamedTuple

from local.audio.finding import EXTENSIONS
from local.audio.recordings import UNREAD_EXTENSIONS, audio_files, utterance_name
from local.errors import InputError
from local.lists.fields import is_text, read_fields

# Scripts that go on without bad recordings name all of them at the end, but not a million.
MAX_SHOWN = 1000
_SCP = ".scp"


class Recordings(NamedTuple):
    """Recordings, each once."""

    ids: list  # the names under which results are stored
    names: list  # paths with or without extension, see `local.audio.finding.find_file`
    places: list  # (path, line or None) at which each is mentioned, for messages


def find_recordings(sources, problems):
    """The recordings of one or several sources.

    Arguments
    ---------
    sources : list of str
        Each one is a text list with a path a line; a Kaldi `wav.scp`, with `ID PATH` a line; a
        folder, whose audio is taken at any depth; or an audio file. IDs are the paths as written
        or, of a folder, relative to it and without extension.
    problems : local.errors.Problems
        Gets what is wrong with single lines: the number of fields, a command in a `wav.scp`, an
        ID that comes twice.

    Returns
    -------
    recordings : Recordings

    Raises
    ------
    InputError
        If a source does not exist, or none has a recording.
    """
    recordings = Recordings([], [], [])
    first_places = {}
    for source in sources:
        for identity, name, place in _entries(source, problems):
            first = first_places.setdefault(identity, place)
            if not is_text(name):
                problems.add(ascii(name), None, "is not a UTF-8 name: rename it")
            elif first is not place:
                shown = ":".join(str(part) for part in first if part is not None)
                problems.add(*place, f"'{identity}' is already in {shown}: left out here")
            else:
                for values, value in zip(recordings, (identity, name, place), strict=True):
                    values.append(value)
    if not recordings.ids:
        problems.raise_if_any()
        raise InputError(f"{', '.join(sources)}: no recordings")
    return recordings


def _entries(source, problems):
    """The (ID, name, place) of each recording of a source."""
    if os.path.isdir(source):
        return _in_folder(source)
    if source.lower().endswith(EXTENSIONS + UNREAD_EXTENSIONS):  # named, it is tried all the same
        return [(source, os.path.abspath(source), (source, None))]
    if not os.path.exists(source):
        raise InputError(
            f"{source}: there is no such list, folder or audio file (audio ends in "
            f"{' '.join(EXTENSIONS)})"
        )
    return _in_scp(source, problems) if source.endswith(_SCP) else _in_list(source, problems)


def _in_folder(folder):
    for name in audio_files(folder):
        path = os.path.join(folder, name)
        yield utterance_name(name), os.path.abspath(path), (path, None)


def _in_list(path, problems):
    for line, (name,) in read_fields(path, "PATH", problems):
        yield name, name, (path, line)


def _in_scp(path, problems):
    for line, (identity, *name) in read_fields(path, "ID PATH ...", problems):
        if not name:
            problems.add(path, line, "has no path: expected 'ID PATH'")
        elif name[-1].endswith("|"):
            problems.add(path, line, "is a command to run: make audio files of them first")
        elif len(name) > 1:
            problems.add(path, line, "has more than 'ID PATH' (a path can't hold blanks)")
        else:
            yield identity, name[0], (path, line)
