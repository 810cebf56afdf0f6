import csv

import pytest

from local.data.manifest_files import COLUMNS, write_manifest
from local.data.overlap import have_same_speakers, overlap_warning, shared_speakers


@pytest.fixture
def shared(tmp_path):
    """shared_speakers of training names with labels and of the names of the trials."""

    def write(path, rows, data_dir):
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for name, label in rows:
                writer.writerow((name, 1.0, f"{data_dir}/{name}.wav", 0, 16000, label))

    def compare(training, trials, trials_dir="/audio"):
        write(tmp_path / "train.csv", training, "/audio")
        write(tmp_path / "trials.csv", [(name, "") for name in trials], trials_dir)
        return shared_speakers(tmp_path / "train.csv", tmp_path / "trials.csv")

    return compare


def test_folder_of_a_speaker_in_both(shared):
    training = [("anna/1", 1), ("anna/2", 1), ("bert/1", 0), ("carl/1", 2)]
    assert shared(training, ["dora/1", "dora/2"]) == []
    assert shared(training, ["anna/9", "carl/9", "dora/1"]) == ["anna", "carl"]
    assert shared(training, ["anna/9"], trials_dir="/other") == ["anna"]


def test_speakers_are_in_the_order_of_their_labels(shared):
    training = [(f"speaker{label}/1", label) for label in (10, 9, 2)]
    assert shared(training, ["speaker10/2", "speaker2/2", "speaker9/2"]) == [
        "speaker2",
        "speaker9",
        "speaker10",
    ]


def test_speaker_folders_are_found_between_other_folders(shared):
    training = [("wav/id1/v1/1", 0), ("wav/id1/v2/1", 0), ("wav/id2/v3/1", 1), ("wav/id2/v4/1", 1)]
    assert shared(training, ["wav/id3/v1/1", "wav/id4/v3/1"]) == []
    assert shared(training, ["wav/id2/v9/1"]) == ["id2"]


def test_same_file_where_no_folder_is_a_speaker(shared):
    training = [("a1", 0), ("b1", 1), ("mixed/a2", 0), ("mixed/b2", 1)]
    assert shared(training, ["b1", "mixed/x"]) == ["label 1"]
    assert shared(training, ["b1"], trials_dir="/other") == []


def test_the_sides_of_a_call_have_speakers_of_their_own(tmp_path):
    rows = [dict.fromkeys(COLUMNS, "0") | {"ID": f"call{n}", "wav": "/call.wav"} for n in range(3)]
    for name, channel, row in zip(("train", "other", "same"), "121", rows, strict=True):
        write_manifest(tmp_path / name, [row | {"channel": channel}])
    assert shared_speakers(tmp_path / "train", tmp_path / "other") == []
    assert shared_speakers(tmp_path / "train", tmp_path / "same") == ["label 0"]


def test_folders_that_split_a_speaker_say_nothing(shared):
    # Four sessions of two speakers: a session with a name in both lists is no speaker in both.
    training = [("s1/1", 0), ("s2/1", 0), ("s3/1", 1), ("s4/1", 1)]
    assert shared(training, ["s2/5"]) == []


def test_as_many_folders_as_speakers_but_not_theirs(shared):
    training = [("s1/1", 0), ("s2/1", 0), ("flat", 1)]
    assert shared(training, ["s1/5"]) == []


@pytest.mark.parametrize("name", ["./bert/2", "bert//2", "anna/../bert/2", ".//bert/./2"])
def test_folders_are_the_same_however_they_are_written(shared, name):
    training = [("anna/1", 0), ("bert/1", 1)]
    assert shared(training, [name], trials_dir="/other") == ["bert"]
    assert shared([("anna/1", 0), (name, 1)], ["bert/3"]) == ["bert"]


def test_what_is_said_of_one_and_of_many(shared, tmp_path):
    training = [(f"s{label}/1", label) for label in range(7)]
    files = tmp_path / "train.csv", tmp_path / "trials.csv"
    shared(training, ["s9/1"])
    assert overlap_warning(*files) == ""
    shared(training, ["s3/2"])
    assert overlap_warning(*files).startswith(
        "1 training speaker seems to be in the trials too (s3)"
    )
    shared(training, [f"s{label}/2" for label in range(7)])
    assert "7 training speakers seem to be" in overlap_warning(*files)
    assert "(s0, s1, s2, s3, s4 ...): the EER will look better than it is" in overlap_warning(
        *files
    )


@pytest.mark.parametrize(
    "others, expected",
    [
        ([("a/1", 0), ("b/1", 1)], True),
        ([("a/1", 0), ("a/7", 0), ("b/1", 1), ("b/7", 1)], True),  # some utterances differ
        ([("a/1", 1), ("b/1", 0)], False),
        ([("a/1", 0), ("b/7", 1)], False),  # nothing says that the second speaker is the same
        ([("a/1", 0), ("b/1", 1), ("c/1", 2)], False),
        ([("a/1", 0)], False),
    ],
)
def test_same_speakers(tmp_path, others, expected):
    for name, rows in (("own", [("a/1", 0), ("b/1", 1), ("a/2", 0)]), ("others", others)):
        with open(tmp_path / name, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows((id_, 1.0, f"{id_}.wav", 0, 16000, label) for id_, label in rows)
    assert have_same_speakers(tmp_path / "own", tmp_path / "others") == expected
    assert not have_same_speakers(tmp_path / "own", tmp_path / "missing")
