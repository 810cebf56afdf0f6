import os
import shlex
from pathlib import Path

import pytest

from local.audio.finding import find_file
from local.corpora import commands, folder
from local.errors import InputError


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def make_speakers(root, num_speakers=6, num_utterances=3):
    names = [f"spk{s}/{u}.wav" for s in range(num_speakers) for u in range(num_utterances)]
    touch(root, *names)
    return root


def run(root, out_dir, *options):
    folder.main([str(root), "--out_dir", str(out_dir), *options])


def read_lists(out_dir):
    return {path.name: path.read_text(encoding="utf-8") for path in Path(out_dir).iterdir()}


def fields(text):
    return [line.split(" ") for line in text.splitlines()]


def test_writes_the_documented_lists(tmp_path):
    run(make_speakers(tmp_path / "in"), tmp_path / "out")
    lists = read_lists(tmp_path / "out")
    labels = fields(lists["train_labels.txt"])
    assert len(labels) == 4 * 3 and {line[2] for line in labels} == {"-1"}
    names = dict(fields(lists["speakers.txt"]))
    assert list(names) == ["0", "1", "2", "3"]
    assert all(path.split("/")[0] == names[label] for path, label, _ in labels)
    assert len(fields(lists["valid_clients.txt"])) == 2 * 3
    assert len(fields(lists["valid_impostors.txt"])) == 3 * 3


def test_keeps_speakers_apart(tmp_path):
    run(make_speakers(tmp_path / "in", 10), tmp_path / "out", "--trial_speakers", "4")
    lists = read_lists(tmp_path / "out")
    training = {line[0].split("/")[0] for line in fields(lists["train_labels.txt"])}
    trials = fields(lists["valid_clients.txt"] + lists["valid_impostors.txt"])
    others = {path.split("/")[0] for pair in trials for path in pair}
    assert (len(training), len(others)) == (6, 4)
    assert training.isdisjoint(others)


def test_same_lists_for_the_same_seed(tmp_path):
    make_speakers(tmp_path / "in", 20)
    for out, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        run(tmp_path / "in", tmp_path / out, "--seed", seed)
    assert read_lists(tmp_path / "a") == read_lists(tmp_path / "b") != read_lists(tmp_path / "c")


def test_number_of_trials(tmp_path):
    run(make_speakers(tmp_path / "in"), tmp_path / "out", "--trials", "5")
    lists = read_lists(tmp_path / "out")
    assert [len(fields(lists[f"valid_{kind}.txt"])) for kind in ("clients", "impostors")] == [5, 5]


def test_prints_counts_and_the_command_to_train(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(commands.ROOT)
    make_speakers(tmp_path / "my recordings")
    run(tmp_path / "my recordings", tmp_path / "out")
    printed = capsys.readouterr().out
    assert "12 utterances of 4 speakers" in printed
    assert "6 trials of 2 other speakers" in printed
    command = shlex.split(printed.splitlines()[-1])
    assert command[:3] == ["python", "recipes/train_vgg.py", "hparams/vgg.yaml"]
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert options == {
        "--train_data_dir": str(tmp_path / "my recordings"),
        "--train_labels_path": str(tmp_path / "out" / "train_labels.txt"),
        "--valid_data_dir": str(tmp_path / "my recordings"),
        "--valid_clients": str(tmp_path / "out" / "valid_clients.txt"),
        "--valid_impostors": str(tmp_path / "out" / "valid_impostors.txt"),
        "--out_dir": "results/my recordings",
    }


def test_every_name_leads_back_to_its_file(tmp_path):
    files = [
        "anna/1.wav", "anna/deep/er/2.flac", "anna/session.1/3.4.ogg", "anna/5.mp3",
        "ünï/日本.opus", "ünï/6.sph", "ünï/7.WAV", "ünï/8.wav.flac", "a-b/9.wav",
    ]  # fmt: skip
    touch(tmp_path, *files)
    utterances = folder.find_utterances(tmp_path)
    assert {speaker: len(names) for speaker, names in utterances.items()} == {
        "anna": 4, "ünï": 4, "a-b": 1,
    }  # fmt: skip
    names = [name for own in utterances.values() for name in own]
    assert "anna/session.1/3.4" in names
    found = {find_file(tmp_path, name)[0] for name in names}
    assert found == {str(tmp_path / file) for file in files}


def test_timit_as_it_lies_on_disks(tmp_path, caplog):
    touch(tmp_path, *(f"F{s}/SA{n}.{ext}" for s in "ABCD" for n in "12" for ext in ("WAV", "PHN")))
    utterances = folder.find_utterances(tmp_path)
    assert utterances["FA"] == ["FA/SA1", "FA/SA2"] and len(utterances) == 4
    assert find_file(tmp_path, "FA/SA1")[0] == f"{tmp_path}/FA/SA1.WAV"
    touch(tmp_path, "FC/SA2.WAV.wav")  # a conversion of the same recording
    with pytest.raises(InputError, match="FC/SA2.WAV.wav: has the name of FC/SA2.WAV: remove one"):
        folder.find_utterances(tmp_path)


def test_hidden_files_and_other_files_are_left_out(tmp_path):
    touch(tmp_path, "anna/1.wav", "anna/._1.wav", "anna/.old/2.wav", ".trash/3.wav", "anna/1.txt")
    assert folder.find_utterances(tmp_path) == {"anna": ["anna/1"]}


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path / "disk", "1.wav", "sub/2.wav")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "anna").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "sub" / "back").symlink_to(tmp_path / "disk")
    assert folder.find_utterances(tmp_path / "in") == {"anna": ["anna/1", "anna/sub/2"]}


def test_speakers_whose_folders_lead_to_each_other(tmp_path, caplog):
    names = [f"{speaker}/{number}" for speaker in ("anna", "bert", "carl") for number in (1, 2)]
    touch(tmp_path / "in", *(f"{name}.wav" for name in names))
    for speaker, others in {"anna": "bert carl", "bert": "anna", "carl": ". .. bert"}.items():
        for other in others.split():
            (tmp_path / "in" / speaker / f"to{other}").symlink_to(f"../{other}")
    (tmp_path / "in" / "anna" / "home").symlink_to(tmp_path)
    utterances = folder.find_utterances(tmp_path / "in")
    assert sorted(name for own in utterances.values() for name in own) == names
    assert utterances["anna"] == ["anna/1", "anna/2"]
    assert "they lead to folders that are taken already" in caplog.text
    assert f"{tmp_path}/in/anna/tobert" in caplog.text


def test_each_folder_elsewhere_is_taken_once(tmp_path, caplog):
    touch(tmp_path, "disk/1.wav", "disk/sub/2.wav", "in/.hidden/3.wav", "in/dora/4.wav")
    for speaker, target in (("anna", "disk"), ("bert", "disk/sub"), ("carl", "in/.hidden")):
        (tmp_path / "in" / speaker).symlink_to(tmp_path / target)
    assert folder.find_utterances(tmp_path / "in") == {
        "anna": ["anna/1"], "bert": ["bert/2"], "carl": ["carl/3"], "dora": ["dora/4"],
    }  # fmt: skip
    assert f"taken already: {tmp_path}/in/anna/sub" in caplog.text


def test_speakers_in_other_formats_are_counted_and_named(tmp_path, caplog, capsys):
    touch(make_speakers(tmp_path / "in"), "anna/1.m4a", "anna/2.M4A", "bert/x/1.aiff", "spk0/9.wma")
    touch(tmp_path / "in", "carl/notes.txt", "spk0/._1.m4a")
    folder.find_utterances(tmp_path / "in")
    assert "4 recordings are left out, as .aiff .m4a .wma is not read (in anna, bert, spk0)" in (
        caplog.text
    )
    assert "ffmpeg" in caplog.text
    printed = capsys.readouterr().out
    assert f"{tmp_path}/in: 3 folders have nothing that is read: anna, bert, carl" in printed


def test_recordings_of_nobody_are_mentioned(tmp_path, capsys):
    touch(make_speakers(tmp_path / "in"), "loose.wav")
    run(tmp_path / "in", tmp_path / "out")
    assert "1 recordings are in no folder of a speaker" in capsys.readouterr().out
    assert "loose" not in "".join(read_lists(tmp_path / "out").values())


def check_refusal(root, out_dir, *messages, options=()):
    with pytest.raises(InputError) as raised:
        run(root, out_dir, *options)
    for message in messages:
        assert message in str(raised.value)
    assert not Path(out_dir).exists()


def test_missing_folder(tmp_path):
    check_refusal(tmp_path / "in", tmp_path / "out", f"{tmp_path}/in: is not a folder")


def test_no_audio(tmp_path):
    touch(tmp_path / "in", "anna/notes.txt")
    check_refusal(tmp_path / "in", tmp_path / "out", "no audio (.wav .flac")


def test_audio_but_no_folders_of_speakers(tmp_path):
    touch(tmp_path / "in", "1.wav", "2.wav")
    check_refusal(tmp_path / "in", tmp_path / "out", "2 recordings are in", "folders of")


def test_too_few_speakers(tmp_path):
    make_speakers(tmp_path / "in", num_speakers=3)
    message = "3 speakers are too few: 2 for trials (--trial_speakers) and at least 2 others"
    check_refusal(tmp_path / "in", tmp_path / "out", message)


def test_speakers_with_one_recording_only_train(tmp_path):
    make_speakers(tmp_path / "in", num_speakers=5, num_utterances=1)
    touch(tmp_path / "in", "spk1/more.wav", "spk3/more.wav")
    run(tmp_path / "in", tmp_path / "out")
    assert (
        read_lists(tmp_path / "out")["valid_clients.txt"] == "spk1/0 spk1/more\nspk3/0 spk3/more\n"
    )


def test_too_few_speakers_with_two_recordings(tmp_path):
    make_speakers(tmp_path / "in", num_speakers=5, num_utterances=1)
    touch(tmp_path / "in", "spk1/more.wav")
    message = (
        "2 speakers are needed for trials (--trial_speakers), but only 1 have the two recordings"
    )
    check_refusal(tmp_path / "in", tmp_path / "out", message)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--trial_speakers", "1"], "--trial_speakers 1: impostor trials need 2 speakers"),
        (["--trial_speakers", "-3"], "--trial_speakers -3: impostor trials need 2 speakers"),
        (["--trial_speakers", "5"], "6 speakers are too few: 5 for trials"),
        (["--trials", "0"], "--trials 0: at least 1 is needed"),
    ],
)
def test_wrong_numbers(tmp_path, options, message):
    make_speakers(tmp_path / "in")
    check_refusal(tmp_path / "in", tmp_path / "out", message, options=options)


def test_blanks_in_names_are_reported_once_each(tmp_path):
    make_speakers(tmp_path / "in")
    touch(tmp_path / "in", "Anna B/1.wav", "Anna B/2.wav", "spk1/take one.wav", "spk2/a\tb.wav")
    with pytest.raises(InputError) as raised:
        run(tmp_path / "in", tmp_path / "out")
    lines = str(raised.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{tmp_path}/in/Anna B: holds a blank, which separates the fields")
    assert lines[1].startswith(f"{tmp_path}/in/spk1/take one.wav: holds a blank")
    assert all("rename it" in line for line in lines)
    assert not (tmp_path / "out").exists()


def test_names_that_are_not_text_are_reported(tmp_path):
    make_speakers(tmp_path / "in")
    try:
        touch(tmp_path / "in", os.fsdecode(b"spk1/\xff.wav"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    check_refusal(tmp_path / "in", tmp_path / "out", "is not a UTF-8 name: rename it")


def test_two_files_of_one_name(tmp_path):
    touch(make_speakers(tmp_path / "in"), "spk1/0.flac")
    message = f"{tmp_path}/in/spk1/0.wav: has the name of spk1/0.flac: remove one of them"
    check_refusal(tmp_path / "in", tmp_path / "out", message)


def test_place_that_cannot_be_written(tmp_path):
    make_speakers(tmp_path / "in")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="/file/out: can't be written"):
        run(tmp_path / "in", tmp_path / "file" / "out")
