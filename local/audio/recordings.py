"""A folder to the recordings in it, under the names that lists give them."""

import logging
import os
from pathlib import Path

from local.audio.finding import EXTENSIONS
from local.errors import InputError, Problems

logger = logging.getLogger(__name__)

_BLANKS = set(" \t\n\r\v\f")
# Of audio and video that is not read.
UNREAD_EXTENSIONS = tuple(
    ".m4a .m4b .aac .aif .aiff .aifc .wma .amr .3gp .caf .au .snd .ape .wv .mka .webm .mp2 .mp4 "
    ".mov .mkv .avi .ra .dsf .w64 .voc .nist .sphere".split()
)
MAX_SHOWN = 10


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
        name = _bare(path)
        if name in files:
            problems.add(folder / path, None, f"has the name of {files[name]}: remove one of them")
        files.setdefault(name, path)
    _check_names(folder, files.values(), problems)
    problems.raise_if_any()
    utterances = _by_speaker(folder, sorted(map(utterance_name, files.values())))
    folders = (path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    empty = sorted(set(folders) - set(utterances))
    if empty:
        print(f"{folder}: {len(empty)} folders have nothing that is read: {_some(empty)}")
    return utterances


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


def _bare(path):
    """A path without any extension of audio: TIMIT is found with SA1.WAV beside SA1.WAV.wav."""
    stem, extension = os.path.splitext(path)
    return _bare(stem) if extension.lower() in EXTENSIONS else path


def audio_files(folder):
    """Yields the audio files below a folder, as paths relative to it, in a fixed order.

    Hidden files and folders are left out. Links to folders are followed, but each folder is walked
    once, in its own place if it has one below `folder`. A warning says which links are left out,
    and how many files have formats that are not read.

    Raises an InputError if a folder can't be read.
    """
    root = os.path.realpath(folder)
    seen, links, unread = {root}, [], []
    for current, subfolders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        visible = sorted(name for name in subfolders if name[0] != ".")
        here = os.path.realpath(current)
        subfolders[:] = [name for name in visible if _is_new(os.path.join(here, name), root, seen)]
        links += [os.path.join(current, name) for name in visible if name not in subfolders]
        for name in sorted(files):
            path = os.path.relpath(os.path.join(current, name), folder)
            if name[0] != "." and name.lower().endswith(EXTENSIONS):
                yield path
            elif name[0] != "." and name.lower().endswith(UNREAD_EXTENSIONS):
                unread.append(path)
    if links:
        logger.warning("Left out, as they lead to folders that are taken already: %s", _some(links))
    if unread:
        kinds = sorted({os.path.splitext(path)[1].lower() for path in unread})
        logger.warning(
            "%s: %d recordings are left out, as %s is not read (in %s): convert them, for example "
            "by ffmpeg -i A%s A.flac",
            *(folder, len(unread), " ".join(kinds)),
            _some(sorted({path.split("/")[0] for path in unread})),
            kinds[0],
        )


def _is_new(path, root, seen):
    """Whether a folder is to be walked; adds it to those that were seen, by their real paths."""
    real = path
    if os.path.islink(path):
        real = os.path.realpath(path)
        inside = os.path.relpath(real, root).split("/")
        has_own_place = inside[0] != ".." and not any(part[0] == "." for part in inside)
        if has_own_place or root.startswith(f"{real.rstrip('/')}/"):
            return False
    is_new = real not in seen
    seen.add(real)
    return is_new


def _some(names):
    return ", ".join(names[:MAX_SHOWN]) + (" ..." if len(names) > MAX_SHOWN else "")


def _refuse(error):
    raise InputError(f"{error.filename}: can't be read ({error.strerror})")


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
