"""Who speaks in the utterances of trials."""

import numpy as np
import pytest

from local.errors import InputError
from local.evaluation.speakers import CONNECTED, find_speakers
from local.lists.trials import Trials


def make_trials(clients, impostors):
    """Trials of these pairs of names."""
    pairs = clients + impostors
    names = sorted({name for pair in pairs for name in pair})
    enrol, test = (np.array([names.index(pair[side]) for pair in pairs]) for side in (0, 1))
    return Trials(names, enrol, test, np.arange(len(pairs)) < len(clients), [])


def groups(trials, speakers):
    """The utterances of each speaker, as sets."""
    found = {}
    for name, speaker in zip(trials.utterances, speakers.of_utterance, strict=True):
        found.setdefault(speaker, set()).add(name)
    return sorted(map(sorted, found.values()))


@pytest.mark.parametrize(
    "names, source",
    [
        (["a/1", "a/2", "b/1"], "the first folder"),
        (["a/v/1", "a/w/2", "b/v/1"], "the first folder"),
        (["wav/a/1", "wav/a/2", "wav/b/1"], "the first 2 folders"),
        (["/data/vox/a/x/1", "/data/vox/a/y/2", "/data/vox/b/x/1"], "the first 4 folders"),
        (["x/a-1", "x/a-2", "x/b-1"], "the file name up to -"),
        (["a_1-x", "a_2-x", "b_1-x"], "the file name up to _"),
    ],
)
def test_names_of_utterances_tell_the_speakers(names, source):
    trials = make_trials([(names[0], names[1])], [(names[0], names[2])])
    speakers = find_speakers(trials)
    assert speakers.source == source
    assert groups(trials, speakers) == [sorted(names[:2]), [names[2]]]


def test_names_that_contradict_a_trial_are_not_trusted():
    # The folders are sessions, and the files are turns: client trials connect them.
    clients = [("s1/1", "s2/2"), ("s2/2", "s3/1"), ("s1/3", "s2/4")]
    trials = make_trials(clients, [("s1/1", "s1/3")])
    speakers = find_speakers(trials)
    assert speakers.source == CONNECTED
    expected = [["s1/1", "s2/2", "s3/1"], ["s1/3", "s2/4"]]
    assert groups(trials, speakers) == expected
    assert speakers.names == ["speaker 1", "speaker 2"]


def write(path, text):
    path.write_text(text)
    return path


def test_a_file_of_speakers(tmp_path):
    trials = make_trials([("u1", "u2")], [("u1", "u3")])
    path = write(tmp_path / "utt2spk", "u1 anna\nu2 anna\nu3 bert\nu4 carl\n")
    speakers = find_speakers(trials, path)
    assert speakers.names == ["anna", "bert"] and speakers.source == str(path)
    assert speakers.of_utterance.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "text, message",
    [
        ("u1 anna\nu2 anna\n", "utt2spk: has no line for 'u3'"),
        ("u1 anna\nu1 bert\nu2 a\nu3 b\n", "utt2spk:2: 'u1' is of 'anna' above"),
        ("u1 anna x\nu2 anna\nu3 b\n", "utt2spk:1: expected 2 fields"),
        ("u1 a\nu2 b\nu3 c\n", "utt2spk: does not fit a client trial: 'u1' and 'u2'"),
        ("u1 a\nu2 a\nu3 a\n", "utt2spk: does not fit an impostor trial: 'u1' and 'u3'"),
        ("", "utt2spk: is empty"),
    ],
)
def test_a_wrong_file_of_speakers(tmp_path, text, message):
    trials = make_trials([("u1", "u2")], [("u1", "u3")])
    with pytest.raises(InputError, match=message):
        find_speakers(trials, write(tmp_path / "utt2spk", text))


def test_no_file_of_speakers(tmp_path):
    trials = make_trials([("u1", "u2")], [("u1", "u3")])
    with pytest.raises(InputError) as error:
        find_speakers(trials, tmp_path / "none")
    assert str(error.value) == f"{tmp_path}/none: can't be read (No such file or directory)"
