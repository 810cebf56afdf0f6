"""VoxCeleb1 and VoxCeleb2 on a disk to the utterances of their speakers, converted if need be."""

import re
from functools import partial
from pathlib import Path

from local.corpora.converting import KINDS, convert
from local.corpora.missing import describe, some
from local.corpora.parts import Part
from local.corpora.trees import read_tree
from local.errors import InputError
from local.lists.speaker_table import read_speaker_table

SPEAKER = r"id\d{5}"
VOX1_IDS = range(10001, 11252)
VOX1_TEST_IDS = range(10270, 10310)  # 40, whose names begin with E
# Speakers and utterances, as published.
VOX1, VOX1_DEV, VOX2_DEV = (1_251, 153_516), (1_211, 148_642), (5_994, 1_092_009)
# The published table of speakers has the columns "VoxCeleb2 ID" and "Set": dev or test.
META_FILE = "vox2_meta.csv"
_UNREAD = (".m4a",)


def find_vox1(folder, convert_to, problems):
    """The utterances of VoxCeleb1, as much as there is of it.

    Arguments
    ---------
    folder : Path
    convert_to : (str, str) or None
        The kind of file to convert to what is not read, and a folder for them.
    problems : list of str
        Gets what is missing.

    Returns
    -------
    parts : list of local.corpora.parts.Part
    """
    parts = _find(folder, _is_vox1, convert_to, "VoxCeleb1", problems)
    describe(f"VoxCeleb1 ({folder})", _numbers(parts), VOX1)
    return parts


def vox1_dev(vox1, problems):
    """The speakers of VoxCeleb1 to train on; all but the 40 test speakers."""
    parts = [
        Part(folder, {s: own for s, own in utterances.items() if _id(s) not in VOX1_TEST_IDS})
        for folder, utterances in vox1
    ]
    numbers = _numbers(parts)
    problems += describe("VoxCeleb1 dev, without the 40 test speakers", numbers, VOX1_DEV)
    expected = (f"id{number}" for number in VOX1_IDS if number not in VOX1_TEST_IDS)
    problems += _lacking("VoxCeleb1 dev", expected, numbers)
    return parts


def find_vox2_dev(folder, convert_to, lists_dir, problems):
    """The utterances of VoxCeleb2 to train on; the other arguments are as for `find_vox1`.

    Speakers of the test part are left out: those in a folder with "test" in its name, and those
    that vox2_meta.csv, if it is in lists_dir or in the folder, has as such.
    """
    sets = _sets([place for place in (lists_dir, folder) if place])
    is_wanted = partial(_is_vox2_dev, sets=sets)
    parts = _find(folder, is_wanted, convert_to, "VoxCeleb2 dev", problems)
    numbers = _numbers(parts)
    problems += describe(f"VoxCeleb2 dev ({folder})", numbers, VOX2_DEV)
    expected = (speaker for speaker, name in sets.items() if name == "dev")
    problems += _lacking("VoxCeleb2 dev", expected, numbers)
    if len(numbers) > VOX2_DEV[0]:
        print(
            f"{folder}: {len(numbers) - VOX2_DEV[0]:,} speakers more than published, perhaps of "
            f"the test part: {META_FILE} in --lists_dir tells which they are"
        )
    return parts


def _find(folder, is_wanted, convert_to, corpus, problems):
    """The parts of a corpus: what is there, and what was converted."""
    tree = read_tree(folder, SPEAKER, 1, is_wanted, _UNREAD)
    if not tree.readable and not tree.unread:
        raise InputError(
            f"{folder}: there is nothing of {corpus}: expected recordings such as "
            f"{'wav/id10001' if corpus == 'VoxCeleb1' else 'dev/aac/id00012'}/VIDEO/00001.wav"
        )
    if tree.num_repeats:
        print(f"{folder}: {tree.num_repeats:,} recordings are there twice: left out once")
    parts = [Part(folder, tree.readable)] if tree.readable else []
    return parts + (_converted(folder, tree.unread, convert_to, problems) if tree.unread else [])


def _converted(folder, unread, convert_to, problems):
    """Converts recordings, speaker -> paths; those that fail count as missing."""
    paths = [path for own in unread.values() for path in own]
    if convert_to is None:
        raise InputError(
            f"{folder}: {len(paths):,} recordings are .m4a, which is not read: --convert_to flac "
            "DIR makes FLAC files of them below the folder DIR, with ffmpeg"
        )
    kind, out_dir = convert_to
    if kind not in KINDS:
        raise InputError(f"--convert_to {kind}: {' or '.join(KINDS)} can be written")
    failed = dict(convert(folder, paths, out_dir, kind))
    if failed:
        shown = some([f"{path} ({reason})" for path, reason in failed.items()])
        problems.append(f"{folder}: {len(failed):,} recordings can't be converted: {shown}")
    utterances = {
        speaker: [str(path).removesuffix(Path(path).suffix) for path in own if path not in failed]
        for speaker, own in unread.items()
    }
    return [Part(Path(out_dir), {speaker: own for speaker, own in utterances.items() if own})]


def _numbers(parts):
    """Speaker -> number of utterances in all parts."""
    numbers = {}
    for part in parts:
        for speaker, own in part.utterances.items():
            numbers[speaker] = numbers.get(speaker, 0) + len(own)
    return numbers


def _lacking(name, expected, found):
    """A list of one message that names the speakers who are expected and not found, or of none."""
    lacking = [speaker for speaker in expected if speaker not in found]
    return [f"{name}: nothing of {some(lacking)}"] if lacking else []


def _id(speaker):
    return int(speaker.removeprefix("id"))


def _is_vox1(speaker, place):
    del place
    return _id(speaker) in VOX1_IDS


def _is_vox2_dev(speaker, place, sets):
    words = re.split(r"[^a-z]+", place.lower())
    return _id(speaker) not in VOX1_IDS and "test" not in words and sets.get(speaker) != "test"


def _sets(folders):
    """Speaker -> "dev" or "test", from the first vox2_meta.csv there is; empty without one."""
    for folder in folders:
        path = Path(folder) / META_FILE
        if path.is_file():
            table = read_speaker_table(path)
            if "Set" not in table:
                raise InputError(f"{path}: has no column 'Set'")
            return table["Set"]
    return {}
