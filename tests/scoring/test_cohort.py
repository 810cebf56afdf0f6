"""The choice of a cohort: a manifest made of a manifest."""

import pytest

from local.data.manifest_files import read_manifest, write_manifest
from local.errors import InputError
from local.scoring.cohort import choose_cohort, spread


def write_rows(path, speakers, seconds=2.0, rate=1000, folder=None):
    """A manifest with an utterance for each of these speakers."""
    rows = []
    for index, speaker in enumerate(speakers):
        audio = (folder or path.parent) / f"{index}.wav"
        audio.touch()
        stop = round(seconds * rate)
        rows.append(
            {"ID": f"u{index}", "duration": seconds, "wav": audio, "start": 0, "stop": stop}
            | {"spk_id": speaker}
        )
    write_manifest(path, rows)
    return path


def test_every_speaker_comes_once_before_one_comes_twice():
    speakers = ["a"] * 50 + ["b"] * 3 + ["c"] * 10
    for size, most in ((3, 1), (6, 2), (9, 3), (12, 5)):
        chosen = [speakers[index] for index in spread(speakers, size)]
        counts = [chosen.count(speaker) for speaker in "abc"]
        assert len(chosen) == size and max(counts) <= most
        assert counts[1] == min(3, size // 3)


def test_all_are_taken_without_a_size_and_the_choice_comes_again():
    speakers = ["a", "b"] * 20
    assert spread(speakers) == spread(speakers, 99) == list(range(40))
    assert spread(speakers, 7) == spread(speakers, 7) != spread(speakers, 7, seed=1)


def test_a_cohort_is_a_manifest(tmp_path):
    path = write_rows(tmp_path / "train.csv", ["0", "0", "1", "1", "2"])
    choose_cohort(path, tmp_path / "cohort.csv", size=3)
    rows = list(read_manifest(tmp_path / "cohort.csv"))
    assert sorted(row["spk_id"] for row in rows) == ["0", "1", "2"]
    assert [row for row in read_manifest(path) if row in rows] == rows


def test_audio_that_is_gone_is_named(tmp_path):
    path = write_rows(tmp_path / "train.csv", ["0", "1", "2"])
    (tmp_path / "1.wav").unlink()
    with pytest.raises(InputError, match=r"train.csv: .*/1.wav is in the cohort, but not there"):
        choose_cohort(path, tmp_path / "cohort.csv")
    assert not (tmp_path / "cohort.csv").exists()


def test_a_manifest_without_speakers_is_refused(tmp_path):
    path = write_rows(tmp_path / "valid.csv", ["", ""])
    with pytest.raises(InputError, match="valid.csv: has no speaker for 'u0'"):
        choose_cohort(path, tmp_path / "cohort.csv")


@pytest.mark.parametrize(
    "content, message",
    [
        (None, r"can't be read \(No such file or directory\)"),
        (b"", "is no manifest: it needs the columns ID, duration"),
        (b"a/1 0 -1\na/2 0 -1\n", "is no manifest"),
        (b"ID,duration,wav,start,stop,spk_id\n", "has no utterances"),
        (b"\xff\xfe", r"can't be read \(not UTF-8 text\)"),
    ],
)
def test_what_is_no_manifest(tmp_path, content, message):
    if content is not None:
        (tmp_path / "train.csv").write_bytes(content)
    with pytest.raises(InputError, match=f"train.csv: {message}"):
        choose_cohort(tmp_path / "train.csv", tmp_path / "cohort.csv")
