import json
from pathlib import Path

import pytest
from speechbrain.dataio.dataio import load_data_csv

from local.corpora import folder, join
from local.data.manifests import prepare_training
from local.errors import InputError
from local.lists.labels import read_labels
from tests.helpers.corpora import write_voice
from tests.helpers.trees import check_messages, read_fields, texts, touch, write


def make_corpus(tmp_path, name, speakers="anna bert carl dora", out=None):
    """A folder of recordings, and its lists in the folder `lists/NAME`."""
    audio = tmp_path / "audio" / name
    touch(audio, *(f"{speaker}/{number}.wav" for speaker in speakers.split() for number in (1, 2)))
    lists = tmp_path / "lists" / (out or name)
    folder.main([str(audio), "--out_dir", str(lists), "--trial_speakers", "2"])
    return lists


def run(tmp_path, *options):
    join.main([*map(str, options), "--out_dir", str(tmp_path / "out")])
    return tmp_path / "out"


def check_refusal(tmp_path, options, *messages):
    check_messages(lambda: run(tmp_path, *options), *messages)
    assert texts(tmp_path / "out") == {}


def test_labels_follow_each_other_and_names_may_be_the_same(tmp_path):
    first, second = make_corpus(tmp_path, "a"), make_corpus(tmp_path, "b")
    out = run(tmp_path, first, second)
    names = [speaker for _, speaker in read_fields(first / "speakers.txt")]
    assert [speaker for _, speaker in read_fields(out / "speakers.txt")] == [
        *(f"a/{name}" for name in names),
        *(f"b/{name}" for name in names),
    ]
    assert read_fields(out / "train_labels.txt") == [
        *([f"a/{path}", label, "-1"] for path, label, _ in read_fields(first / "train_labels.txt")),
        *(
            [f"b/{path}", str(int(label) + 2), "-1"]
            for path, label, _ in read_fields(second / "train_labels.txt")
        ),
    ]


def test_folders_of_lists_with_the_same_name(tmp_path):
    first = make_corpus(tmp_path, "a", out="a/lists")
    second = make_corpus(tmp_path, "b", out="b/lists")
    out = run(tmp_path, first, second)
    assert len(set(read_labels(out / "train_labels.txt").speakers)) == 4


def test_the_trials_are_those_of_the_first_that_has_some(tmp_path, capsys):
    first, second = make_corpus(tmp_path, "a"), make_corpus(tmp_path, "b")
    (first / "valid_clients.txt").unlink()
    out = run(tmp_path, first, second)
    for name in join.TRIALS:
        assert texts(out)[name] == texts(second)[name]
    assert json.loads(texts(out)["data_dirs.json"]) == {
        "train_data_dir": str(tmp_path / "audio"),
        "valid_data_dir": str(tmp_path / "audio" / "b"),
    }
    printed = capsys.readouterr().out
    assert f"--train_data_dir {tmp_path}/audio " in printed
    assert f"--valid_data_dir {tmp_path}/audio/b " in printed


def test_what_was_joined_can_be_joined(tmp_path):
    first, second = make_corpus(tmp_path, "a"), make_corpus(tmp_path, "b")
    joined = run(tmp_path, first, second).rename(tmp_path / "joined")
    out = run(tmp_path, joined, make_corpus(tmp_path, "c"))
    assert len(set(read_labels(out / "train_labels.txt").speakers)) == 6
    assert read_fields(out / "train_labels.txt")[-1][0].startswith("c/")


def test_label_files_of_ones_own_and_no_trials(tmp_path, capsys):
    for name in "ab":
        touch(tmp_path / name, "1.wav", "2.wav")
        write(tmp_path / f"{name}.txt", "1 0 -1", "2 1 -1")
    options = ["--labels", tmp_path / "a.txt", tmp_path / "a"]
    out = run(tmp_path, *options, "--labels", tmp_path / "b.txt", tmp_path / "b")
    assert read_fields(out / "train_labels.txt") == [
        ["a/1", "0", "-1"],
        ["a/2", "1", "-1"],
        ["b/1", "2", "-1"],
        ["b/2", "3", "-1"],
    ]
    assert texts(out)["speakers.txt"] == "0 a.txt/0\n1 a.txt/1\n2 b.txt/0\n3 b.txt/1\n"
    assert "and trials" in capsys.readouterr().out


def test_corpora_that_share_no_folder_have_absolute_paths(tmp_path, monkeypatch):
    lists = make_corpus(tmp_path, "a")
    write(tmp_path / "b.txt", "1 0 -1", "2 1 -1")
    out = run(tmp_path, lists, "--labels", tmp_path / "b.txt", "/usr")
    names = read_labels(out / "train_labels.txt").names
    assert names[0].startswith(f"{tmp_path}/audio/a/") and names[-1] == "/usr/2"


def test_what_was_joined_trains_as_it_is(tmp_path):
    for name, pitch in (("a", 100), ("b", 200)):
        for speaker in ("anna", "bert"):
            write_voice(tmp_path / name / speaker / "1.wav", pitch)
        write(tmp_path / f"{name}.txt", "anna/1 0 -1", "bert/1 1 -1")
    options = [["--labels", tmp_path / f"{name}.txt", tmp_path / name] for name in "ab"]
    out = run(tmp_path, *options[0], *options[1])
    data_dir = json.loads(texts(out)["data_dirs.json"])["train_data_dir"]
    manifest = prepare_training(
        out / "train_labels.txt", data_dir, tmp_path / "train.csv", progress=False
    )
    assert (manifest.num_utterances, manifest.num_speakers) == (4, 4)
    assert len({row["wav"] for row in load_data_csv(str(manifest.path)).values()}) == 4


def test_a_recording_in_two_corpora_is_refused(tmp_path):
    lists = make_corpus(tmp_path, "a")
    name, _, _ = read_fields(lists / "train_labels.txt")[1]
    write(tmp_path / "b.txt", "b/1 0 -1", f"a/{name}.wav 1 -1")
    touch(tmp_path / "audio", "b/1.wav")
    check_refusal(
        tmp_path,
        [lists, "--labels", tmp_path / "b.txt", tmp_path / "audio"],
        f"{tmp_path}/b.txt:2: 'a/{name}.wav' is the recording of {lists}/train_labels.txt:2, too",
    )
    check_refusal(tmp_path, [lists, lists], "is the recording of")


def test_a_trial_of_a_recording_to_train_on_is_refused(tmp_path):
    lists = make_corpus(tmp_path, "a")
    name, _ = read_fields(lists / "valid_clients.txt")[0]
    write(tmp_path / "b.txt", "anna/1 0 -1", "bert/1 1 -1")
    write(tmp_path / "b.txt", f"{name} 0 -1", "elsewhere 1 -1")
    options = [lists, "--labels", tmp_path / "b.txt", tmp_path / "audio" / "a"]
    message = f"valid_clients.txt:1: '{name}' is trained on, too: {tmp_path}/b.txt:1"
    check_refusal(tmp_path, options, message)


def test_one_corpus_is_none_to_join(tmp_path):
    lists = make_corpus(tmp_path, "a")
    check_refusal(tmp_path, [lists], "give two corpora or more")
    check_refusal(tmp_path, [], "give two corpora or more")


def test_folders_that_are_no_lists(tmp_path):
    lists = make_corpus(tmp_path, "a")
    check_refusal(tmp_path, [lists, tmp_path / "none"], "/none: is no folder of lists; a label")
    check_refusal(tmp_path, [lists, tmp_path / "audio"], "/audio: there is no data_dirs.json, wh")
    write(tmp_path / "b" / "data_dirs.json", "[1]")
    check_refusal(tmp_path, [lists, tmp_path / "b"], "/b/data_dirs.json: is damaged")
    write(tmp_path / "b" / "data_dirs.json", "{}")
    check_refusal(tmp_path, [lists, tmp_path / "b"], "/b: has no train_labels.txt")


def test_a_data_directory_that_has_moved(tmp_path):
    lists, other = make_corpus(tmp_path, "a"), make_corpus(tmp_path, "b")
    (tmp_path / "audio" / "b").rename(tmp_path / "moved")
    message = f"if it has moved, name it by --labels {other}/train_labels.txt DATA_DIR"
    check_refusal(tmp_path, [lists, other], message)


def test_wrong_label_files_are_reported_by_line(tmp_path):
    lists, other = make_corpus(tmp_path, "a"), make_corpus(tmp_path, "b")
    write(other / "train_labels.txt", "x 0 -1", "y one -1")
    check_refusal(tmp_path, [lists, other], "train_labels.txt:2: label 'one' is not a whole number")


def test_packed_audio_is_refused(tmp_path):
    lists, other = make_corpus(tmp_path, "a"), make_corpus(tmp_path, "b")
    touch(tmp_path / "audio" / "b", "audio-00000.arrow")
    check_refusal(tmp_path, [lists, other], "/b: holds packed audio: join the lists first")


def test_the_lists_themselves_are_not_replaced(tmp_path):
    lists, other = make_corpus(tmp_path, "a"), make_corpus(tmp_path, "b")
    with pytest.raises(InputError, match="would be replaced; give another --out_dir"):
        join.main([str(lists), str(other), "--out_dir", str(Path(lists, "..", "a"))])
