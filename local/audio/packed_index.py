"""Where each utterance of packed audio is (see `local.audio.packed`), by the million."""

from array import array
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from local.audio.checking import AudioInfo
from local.audio.packed import SHARD_NAMES, Shard
from local.audio.recordings import utterance_name
from local.audio.table import Audio
from local.errors import InputError


class PackedUtterance(NamedTuple):
    """Where an utterance is: the path of a shard, and from which to before which sample of it."""

    path: str
    start: int
    stop: int


class PackedIndex(Mapping):
    """Finds packed utterances: name -> PackedUtterance. Made by `read_index`.

    `sample_rate` is that of all of them, in Hz.
    """

    def __init__(self, sample_rate):
        self.sample_rate = sample_rate
        # A million utterances: arrays of numbers take a quarter of the memory of as many tuples.
        self._rows = {}
        self._paths = []
        self._shards, self._starts, self._stops = array("i"), array("q"), array("q")

    def __getitem__(self, name):
        row = self._rows[name]
        path = self._paths[self._shards[row]]
        return PackedUtterance(path, self._starts[row], self._stops[row])

    def __iter__(self):
        return iter(self._rows)

    def __len__(self):
        return len(self._rows)

    def add(self, shard):
        """Adds the utterances of a Shard."""
        self._paths.append(shard.path)
        for names, starts, stops in shard.utterances():
            self._refuse_repeats(shard.path, names)
            self._rows.update(zip(names, range(len(self), len(self) + len(names)), strict=True))
            self._shards.extend([len(self._paths) - 1] * len(names))
            self._starts.extend(starts)
            self._stops.extend(stops)

    def _refuse_repeats(self, path, names):
        again = self._rows.keys() & names
        if again or len(set(names)) < len(names):
            name = min(again) if again else Counter(names).most_common(1)[0][0]
            raise InputError(
                f"{path}: '{name}' is packed twice; if packing was interrupted, start it again"
            )


def is_packed(folder):
    """Whether a folder is one of packed audio."""
    return next(Path(folder).glob(SHARD_NAMES), None) is not None


def read_index(folder):
    """Finds all utterances of packed audio, without reading samples.

    Arguments
    ---------
    folder : str or Path

    Returns
    -------
    index : PackedIndex

    Raises
    ------
    InputError
        If there is no packed audio; if a shard is damaged, cut, of another version, or at another
        rate than the first; or if a name comes twice.
    """
    paths = sorted(Path(folder).glob(SHARD_NAMES))
    if not paths:
        raise InputError(f"{folder}: there is no packed audio ({SHARD_NAMES})")
    index = PackedIndex(Shard(paths[0]).sample_rate)
    for path in paths:
        shard = Shard(path)
        if shard.sample_rate != index.sample_rate:
            raise InputError(
                f"{path} is at {shard.sample_rate} Hz, {paths[0]} at {index.sample_rate} Hz: pack "
                "them again, at one rate"
            )
        index.add(shard)
    return index


def find_packed(names, folder):
    """Looks up utterances in packed audio, as `local.audio.table.examine_audio` does in folders.

    Arguments
    ---------
    names : list of str
    folder : str or Path

    Yields
    ------
    audio : local.audio.table.Audio
        One for each name, in order.
    """
    index = read_index(folder)
    for name in names:
        place = index.get(name) or index.get(utterance_name(name))
        if place is None:
            yield Audio(name, problem=f"there is no '{name}' in the packed audio of {folder}")
        else:
            info = AudioInfo(place.stop - place.start, index.sample_rate, 1)
            yield Audio(place.path, info=info, start=place.start)
