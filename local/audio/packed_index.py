"""A folder of packed audio to where each utterance is in it (see `local.audio.packed`)."""

import unicodedata
from pathlib import Path
from typing import NamedTuple

from local.audio.checking import AudioInfo
from local.audio.packed import SHARD_NAMES, Shard
from local.audio.parts import WHOLE, split_part
from local.audio.recordings import utterance_name
from local.audio.table import Audio
from local.errors import InputError


class PackedUtterance(NamedTuple):
    """The samples of an utterance: from `start` to before `stop` in the shard at a path."""

    path: str
    start: int
    stop: int
    sample_rate: int


def is_packed(folder):
    """Whether a folder has packed audio."""
    return next(Path(folder).glob(SHARD_NAMES), None) is not None


def read_index(folder):
    """Finds all utterances of packed audio, without reading samples: name -> PackedUtterance.

    Raises
    ------
    InputError
        If there is no packed audio; if a shard is damaged, cut, of another version, or at another
        rate than the first; or if a name comes twice.
    """
    paths = sorted(Path(folder).glob(SHARD_NAMES))
    if not paths:
        raise InputError(f"{folder}: there is no packed audio ({SHARD_NAMES})")
    index, rate = {}, Shard(paths[0]).sample_rate
    for path in paths:
        shard = Shard(path)
        if shard.sample_rate != rate:
            raise InputError(
                f"{path} is at {shard.sample_rate} Hz, {paths[0]} at {rate} Hz: pack them again, "
                "at one rate"
            )
        for names, starts, stops in shard.utterances():
            for name, start, stop in zip(names, starts, stops, strict=True):
                if name in index:
                    raise InputError(
                        f"{path}: '{name}' is packed twice; if packing was interrupted, "
                        "start it again"
                    )
                index[name] = PackedUtterance(shard.path, start, stop, rate)
    return index


def find_packed(names, folder):
    """Looks up utterances in packed audio, as `local.audio.table.examine_audio` does in folders.

    Yields a `local.audio.table.Audio` for each of the names, in order.
    """
    index = read_index(folder)
    for name in names:
        place, part = _look_up(name, index), WHOLE
        if place is None:
            recording, part = split_part(name)
            place = _look_up(recording, index)
        if place is None:
            yield Audio(name, problem=f"there is no '{name}' in the packed audio of {folder}")
        elif part.channel:
            problem = f"the channels of '{recording}' are packed as their mean: pack with --lists"
            yield Audio(name, problem=problem)
        else:
            yield _audio_of(place, part)


def _audio_of(place, part):
    info = AudioInfo(place.stop - place.start, place.sample_rate, 1)
    try:
        start, info = part.cut(place.path, info)
    except InputError as error:
        return Audio(place.path, problem=str(error))
    return Audio(place.path, info=info, start=place.start + start)


def _look_up(name, index):
    return next(filter(None, map(index.get, _spellings(name))), None)


def _spellings(name):
    """What an utterance may be called: without extension, with composed or decomposed letters."""
    yield name
    name = utterance_name(name)
    yield name
    yield from (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
