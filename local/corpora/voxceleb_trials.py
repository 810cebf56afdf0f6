"""The official trial lists of VoxCeleb1 to trials of the recordings on the disk."""

import os
import re
from typing import NamedTuple

from local.corpora.missing import some
from local.errors import InputError, Problems
from local.lists.fields import read_fields

_FIRST_ID, _LAST_ID = 10001, 11251
# Names like WAVs', whatever the files on the disk are; some copies have folders before them.
_ENTRY = re.compile(r"(?:.*/)?(id\d{5})/([^/]+)/([^/]+?)(?:\.\w+)?")
URL = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/meta"


class OfficialList(NamedTuple):
    """A list as it was published."""

    file: str
    key: str  # O, E or H
    name: str  # of the list that is written
    num_trials: int


# The cleaned ones first: they are what is compared today.
OFFICIAL = (
    OfficialList("veri_test2.txt", "O", "vox1_o_cleaned", 37_611),
    OfficialList("veri_test.txt", "O", "vox1_o", 37_720),
    OfficialList("list_test_all2.txt", "E", "vox1_e_cleaned", 579_818),
    OfficialList("list_test_all.txt", "E", "vox1_e", 581_480),
    OfficialList("list_test_hard2.txt", "H", "vox1_h_cleaned", 550_894),
    OfficialList("list_test_hard.txt", "H", "vox1_h", 552_536),
)


class TrialList(NamedTuple):
    """A list and its trials, by the utterances' names on the disk."""

    official: OfficialList
    trials: list  # of (label, name, name), the label "1" or "0"

    def pairs(self, label):
        """The lines of a file of client ("1") or impostor trials ("0"), each pair once."""
        return dict.fromkeys(f"{enrol} {test}" for own, enrol, test in self.trials if own == label)


def find_lists(lists_dir, keys, is_asked):
    """The official lists in a folder: [(OfficialList, path)].

    `keys` are those wanted. Raises an InputError if there is none or, where they were asked for
    (`is_asked`), there is none of one key.
    """
    if not keys:
        return []
    paths = [(official, os.path.join(lists_dir, official.file)) for official in OFFICIAL]
    found = [(o, path) for o, path in paths if o.key in keys and os.path.isfile(path)]
    lacking = sorted(set(keys) - {official.key for official, _ in found})
    if lacking and (is_asked or not found):
        names = [official.file for official, _ in paths if official.key in lacking]
        raise InputError(
            f"{lists_dir}: there is no list of VoxCeleb1-{', -'.join(lacking)} "
            f"({', '.join(names)}): download them from {URL}/, and name their folder by --lists_dir"
        )
    return found


def read_lists(official, utterances, folder, problems):
    """Reads official lists.

    Arguments
    ---------
    official : list of (OfficialList, str)
        With the paths of their files.
    utterances : dict
        Speaker of VoxCeleb1 -> names of the utterances below the data directory.
    folder : Path
        The data directory.
    problems : list of str
        Gets what is missing: trials, and utterances on the disk.

    Returns
    -------
    trial_lists : list of TrialList
        Trials whose utterances are not all on the disk are left out, and lists that then don't
        have both client and impostor trials.

    Raises
    ------
    InputError
        If a file can't be read, or is no list of VoxCeleb1.
    """
    # "id10270/VIDEO/00001" -> a name that ends in it
    on_disk = {"/".join(n.split("/")[-3:]): n for own in utterances.values() for n in own}
    trial_lists = []
    for one, path in official:
        trials, num_read, missing = _read(path, on_disk)
        if num_read != one.num_trials:
            problems.append(
                f"{path}: has {num_read:,} trials, but {one.num_trials:,} are published: download "
                "it again"
            )
        if missing:
            problems.append(
                f"{folder}: {len(missing):,} utterances of {path} are not there: {some(missing)} "
                "(--trials leaves lists out)"
            )
        if len({label for label, _, _ in trials}) == 2:
            trial_lists.append(TrialList(one, trials))
    return trial_lists


def _read(path, on_disk):
    """The (label, name, name) of trials, the number of lines, and the utterances not on_disk."""
    problems, utterances, trials, num_read = Problems(), {}, [], 0
    for line, (label, *pair) in read_fields(path, "LABEL PATH PATH", problems):
        num_read += 1
        for entry in pair:
            if entry not in utterances:
                utterances[entry] = _utterance(entry, path, line, problems)
        if label not in ("0", "1"):
            message = f"label '{label}' is neither 1 nor 0: a line is '1 PATH PATH'"
            problems.add(path, line, message)
        names = [on_disk.get(utterances[entry]) for entry in pair]
        if None not in names:
            trials.append((label, *names))
    problems.raise_if_any()
    missing = sorted(set(utterances.values()) - set(on_disk))
    return trials, num_read, missing


def _utterance(entry, path, line, problems):
    match = _ENTRY.fullmatch(entry)
    if match and _FIRST_ID <= int(match[1][2:]) <= _LAST_ID:
        return "/".join(match.groups())
    expected = f"expected id{_FIRST_ID}/VIDEO/00001.wav, for example"
    problems.add(path, line, f"'{entry}' is no utterance of VoxCeleb1: {expected}")
    return None
