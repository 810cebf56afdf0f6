"""Kaldi data directories to lists, from recordings of a second and less."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from local.corpora import kaldi
from local.data.chunks import ChunkDataset, collate
from local.data.manifests import prepare_training, prepare_trials
from local.errors import InputError
from local.evaluation.speakers import find_speakers
from local.lists.enrolment import read_enrolment
from local.lists.file_lists import find_recordings
from local.lists.labels import read_labels
from local.lists.trials import read_trials
from tests.helpers.trees import check_messages, read_fields, texts, write

ROOT = Path(__file__).resolve().parents[2]
RATE = 8000
SPEAKERS = ("anna", "bert", "carl", "dora")


def write_audio(path, first=0, num_channels=1, seconds=1.0):
    """Samples that count up from `first`; in a second channel, down from -1 - first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = first + np.arange(int(seconds * RATE), dtype=np.int16)
    channels = np.stack([samples, -1 - samples], axis=1)[:, :num_channels]
    soundfile.write(path, channels, RATE, subtype="PCM_16")


@pytest.fixture
def train(tmp_path):
    """A data directory of whole recordings, two of each speaker."""
    folder = tmp_path / "data" / "train"
    names = [f"{speaker}-{number}" for speaker in SPEAKERS for number in (1, 2)]
    for number, name in enumerate(names):
        write_audio(tmp_path / "wav" / f"{name}.wav", first=100 * number)
    write(folder / "wav.scp", *(f"{name} {tmp_path}/wav/{name}.wav" for name in names))
    write(folder / "utt2spk", *(f"{name} {name[:4]}" for name in names))
    return folder


@pytest.fixture
def calls(tmp_path):
    """A data directory of the segments of two calls, with a channel for each side."""
    folder = tmp_path / "data" / "calls"
    for number in (1, 2):
        write_audio(tmp_path / "calls" / f"c{number}.wav", 1000 * number, num_channels=2)
    sides = [f"c{number}-{side}" for number in (1, 2) for side in "AB"]
    write(folder / "wav.scp", *(f"{side} {tmp_path}/calls/{side[:2]}.wav" for side in sides))
    channels = (f"{side} {side[:2]} {side[-1]}" for side in sides)
    write(folder / "reco2file_and_channel", *channels)
    times = (("0.00", "0.5"), ("0.25", "-1"))
    segments = [(f"{side}-{n}", side, *times[n]) for side in sides for n in (0, 1)]
    write(folder / "segments", *(" ".join(fields) for fields in segments))
    write(folder / "spk2utt", *(f"spk_{side} {side}-0 {side}-1" for side in sides))
    return folder


def run(folder, *options):
    out_dir = folder.parents[1] / "lists"
    kaldi.main([str(folder), "--out_dir", str(out_dir), *map(str, options)])
    return out_dir


def check_refusal(folder, *messages, options=()):
    check_messages(lambda: run(folder, *options), *messages)
    out_dir = folder.parents[1] / "lists"
    assert not list(out_dir.glob("*.*")) and not list(out_dir.rglob(".*"))


def add_trials(folder, *lines):
    write(folder / "trials", *lines)


# ---- labels


def test_whole_recordings(train, capsys):
    out = run(train)
    labels = read_labels(out / "train_labels.txt")
    assert labels.names[:2] == ["anna-1.wav", "anna-2.wav"] and len(labels.names) == 8
    assert read_fields(out / "speakers.txt") == [[f"{n}", s] for n, s in enumerate(SPEAKERS)]
    printed = capsys.readouterr().out
    assert f"{train}: 8 utterances of 4 speakers" in printed
    assert f"To train: --train_data_dir {train.parents[1]}/wav --train_labels_path {out}" in printed
    assert not (out / "kaldi_trials.txt").exists()


def test_relative_paths_are_those_of_the_current_folder(train, monkeypatch):
    names = read_fields(train / "wav.scp")
    write(train / "wav.scp", *(f"{name} ./wav/{name}.wav" for name, _ in names))
    check_refusal(train, "wav.scp:1: there is no audio file", "relative paths are looked up in")
    monkeypatch.chdir(train.parents[1])
    assert read_labels(run(train) / "train_labels.txt").names[0] == "anna-1.wav"


def test_segments_and_channels_become_parts(calls, tmp_path):
    out = run(calls)
    labels = read_labels(out / "train_labels.txt")
    assert labels.names[:4] == [
        "c1.wav#t=0.00,0.5&channel=1".replace("0.00", "0"),
        "c1.wav#t=0.25&channel=1",
        "c1.wav#t=0,0.5&channel=2",
        "c1.wav#t=0.25&channel=2",
    ]
    manifest = prepare_training(
        out / "train_labels.txt", tmp_path / "calls", tmp_path / "m.csv", RATE, progress=False
    )
    data = ChunkDataset(manifest.path, RATE, 1000, seed=3)
    batch = collate(False, [data[index, index] for index in range(4)])
    chunks, labels = batch.waveforms.numpy(), batch.labels.tolist()
    assert labels == [0, 0, 1, 1] and chunks.shape == (4, 1000)
    assert (np.diff(chunks, axis=1) == np.array([1, 1, -1, -1])[:, None]).all()
    assert 1000 <= chunks[0].min() and chunks[0].max() < 1000 + RATE / 2
    assert chunks[3].max() <= -1001 - RATE / 4


def test_a_channel_of_its_own_file_is_taken_as_it_is(train):
    write(train / "reco2file_and_channel", "anna-1 anna-1 A", "anna-2 anna-2 B")
    names = read_labels(run(train) / "train_labels.txt").names
    assert names[:2] == ["anna-1.wav", "anna-2.wav"]


def test_channels_in_segments_count_from_zero(calls):
    (calls / "reco2file_and_channel").unlink()
    fields = read_fields(calls / "segments")
    write(calls / "segments", *(" ".join([*own, str(int("A" in own[1]))]) for own in fields))
    names = read_labels(run(calls) / "train_labels.txt").names
    assert [name.split("&")[1] for name in names] == ["channel=2"] * 2 + ["channel=1"] * 2 + [
        "channel=2"
    ] * 2 + ["channel=1"] * 2


def test_a_little_beyond_the_end_is_cut_off_as_in_kaldi(calls):
    text = (calls / "segments").read_text().replace(" 0.5\n", " 1.49\n")
    (calls / "segments").write_text(text)
    names = read_labels(run(calls) / "train_labels.txt").names
    assert names[0] == "c1.wav#channel=1"


def test_the_names_of_kaldi_lead_to_the_parts(calls):
    out = run(calls)
    recordings = find_recordings([str(out / "utterances.scp")], problems=[])
    assert recordings.ids[0] == "c1-A-0"
    assert recordings.names[1] == f"{calls.parents[1]}/calls/c1.wav#t=0.25&channel=1"


# ---- trials


def test_trials_of_utterances(train, capsys):
    trials = ("carl-1 carl-2 target", "carl-1 dora-1 nontarget", "dora-2 dora-1 target")
    add_trials(train, *trials)
    out = run(train)
    labels = read_labels(out / "train_labels.txt")
    assert [name[:4] for name in labels.names] == ["anna", "anna", "bert", "bert"]
    assert read_fields(out / "kaldi_trials.txt") == [
        ["1", "carl-1.wav", "carl-2.wav"],
        ["0", "carl-1.wav", "dora-1.wav"],
        ["1", "dora-2.wav", "dora-1.wav"],
    ]
    pairs = read_trials(out / "valid_clients.txt", out / "valid_impostors.txt")
    assert pairs.is_client.tolist() == [True, True, False]
    assert find_speakers(pairs, out / "kaldi_speakers.txt").names == ["carl", "dora"]
    commands = [shlex.split(line) for line in capsys.readouterr().out.splitlines()[-3::2]]
    assert str(out / "train_labels.txt") in commands[0]
    assert str(out / "kaldi_trials.txt") in commands[1] and "--enrol_models" not in commands[1]


def test_trials_of_all_speakers_leave_none_to_train_on(train, capsys):
    add_trials(train, *(f"{s}-1 {s}-2 target" for s in SPEAKERS), "anna-1 bert-1 nontarget")
    out = run(train)
    assert not (out / "train_labels.txt").exists()
    assert "Nothing is left to train on" in capsys.readouterr().out


@pytest.fixture
def evaluation(tmp_path, train):
    """Directories of other speakers: test utterances and trials; the models to enrol."""
    test, enrol = tmp_path / "data" / "test", tmp_path / "data" / "enrol"
    for speaker in ("emil", "fred"):
        for number in range(3):
            write_audio(tmp_path / "other" / f"{speaker}{number}.flac", seconds=0.5)
    paths = {
        s: [f"{s}{n} {tmp_path}/other/{s}{n}.flac" for n in range(3)] for s in ("emil", "fred")
    }
    write(enrol / "wav.scp", *paths["emil"][:2], *paths["fred"][:2])
    write(enrol / "spk2utt", "emil emil0 emil1", "fred fred0 fred1")
    write(test / "wav.scp", paths["emil"][2], paths["fred"][2])
    write(test / "utt2spk", "emil2 emil", "fred2 fred")
    sides = [("emil", "emil"), ("emil", "fred"), ("fred", "fred")]
    kinds = {True: "target", False: "nontarget"}
    write(test / "trials", *(f"{a} {b}2 {kinds[a == b]} phone" for a, b in sides))
    return "--test_dir", test, "--enrol_dir", enrol


def test_trials_of_models(train, evaluation, tmp_path, capsys):
    out = run(train, *evaluation)
    assert len(read_labels(out / "train_labels.txt").names) == 8
    enrolment = read_enrolment(out / "kaldi_trials.txt", None, None, out / "kaldi_models.txt")
    assert enrolment.trials.is_client.tolist() == [True, False, True]
    assert enrolment.trials.condition_names == ["phone"]
    assert [len(members) for members in enrolment.members] == [2, 2, 1, 1]
    speakers = find_speakers(enrolment.trials, out / "kaldi_speakers.txt")
    assert speakers.names == ["emil", "fred"]
    manifest = prepare_trials(
        enrolment, tmp_path / "other", tmp_path / "v.csv", RATE, progress=False
    )
    assert manifest.num_utterances == 6
    assert read_fields(out / "valid_impostors.txt") == [["emil0.flac", "fred2.flac"]]
    assert f"--enrol_models {out}/kaldi_models.txt" in capsys.readouterr().out


def test_speakers_that_do_not_fit_the_trials_are_left_out(train, evaluation, capsys):
    write(evaluation[1] / "utt2spk", "emil2 emil2", "fred2 fred2")
    out = run(train, *evaluation)
    assert not (out / "kaldi_speakers.txt").exists()
    assert "names speakers that don't fit the trials" in capsys.readouterr().out


def test_what_is_wrong_in_trials(train, evaluation):
    test = evaluation[1]
    add_trials(test, "emil emil2 target", "gert fred2 nontarget", "emil fred9 nontarget")
    check_refusal(
        train,
        f"trials:2: 'gert' is no model in {evaluation[3]}",
        f"trials:3: 'fred9' is no utterance in {test}",
        options=evaluation,
    )
    add_trials(test, "emil emil2 yes")
    check_refusal(train, "trials:1: label 'emil' is neither 1 nor 0", options=evaluation)


def test_a_speaker_in_training_and_trials(train, evaluation):
    write(train / "utt2spk", *(f"{name} emil" for name, _ in read_fields(train / "wav.scp")))
    check_refusal(train, "speakers are in ", "/test: emil", options=evaluation)


def test_enrolment_without_trials(train):
    check_refusal(train, "for --enrol_dir", options=("--enrol_dir", train))


# ---- what is wrong in a directory


def test_a_folder_that_is_no_data_directory(train, tmp_path):
    check_refusal(tmp_path / "wav", "/wav: is no Kaldi data directory: it needs wav.scp, and utt2s")
    check_refusal(train, "/none: is no Kaldi", options=("--test_dir", tmp_path / "none"))


def test_utt2spk_and_wav_scp_that_disagree(train):
    lines = (train / "utt2spk").read_text().splitlines()
    write(train / "utt2spk", *lines[:-1], "eve-1 eve", "anna-1 bert")
    check_refusal(
        train,
        f"{train}/utt2spk:8: there is no utterance 'eve-1' in {train}/wav.scp",
        f"{train}/utt2spk:9: 'anna-1' is of 'bert' here, and of 'anna' above",
        f"{train}/wav.scp:8: there is no speaker of 'dora-2' in {train}/utt2spk",
    )


@pytest.mark.parametrize(
    "line, message",
    [
        ("x c3-A 0 1", "there is no recording 'c3-A' in wav.scp"),
        ("x c1-A 0 1.6", "c1.wav ends at 1 s, before 1.6 s"),
        ("x c1-A 1 -1", "c1.wav ends at 1 s, before 1 s"),
        ("x c1-A 0.5 0.5", "the part from 0.5 to 0.5 s has no samples"),
        ("x c1-A -1 0.5", "'-1' is no time in seconds"),
        ("x c1-A nan 0.5", "'nan' is no time in seconds"),
        ("x c1-A 0", "expected 4 fields as on line 1"),
        ("c1-A-0 c1-A 0 1", "utterance 'c1-A-0' is already on line 1"),
    ],
)
def test_what_is_wrong_in_segments(calls, line, message):
    write(calls / "segments", *(calls / "segments").read_text().splitlines(), line)
    write(calls / "spk2utt", *(calls / "spk2utt").read_text().splitlines(), "x x")
    check_refusal(calls, f"{calls}/segments:9: ", message)


@pytest.mark.parametrize(
    "line, message",
    [
        ("anna-1 x.wav", "recording 'anna-1' is already on line 1"),
        ("x", "has no path: expected 'RECORDING PATH'"),
        ("x a b.wav", "has more than 'RECORDING PATH' (a path can't hold blanks)"),
        ("x /none/a.wav", "there is no audio file /none/a.wav"),
        ("x /none/a.ark:17", "archives are not read"),
        ("x cat a.wav |", "is a command to run (cat a.wav): --run_pipes runs it"),
    ],
)
def test_what_is_wrong_in_wav_scp(train, line, message):
    write(train / "wav.scp", *(train / "wav.scp").read_text().splitlines(), line)
    write(train / "utt2spk", *(train / "utt2spk").read_text().splitlines(), "x anna")
    check_refusal(train, f"{train}/wav.scp:9: ", message)


@pytest.mark.parametrize(
    "line, message",
    [
        ("c3-A c3 A", "there is no recording 'c3-A' in wav.scp"),
        ("c1-A c1 C", "channel 'C' is neither A nor B, nor 1, 2"),
        ("c1-A c1 B", "recording 'c1-A' has another channel above"),
    ],
)
def test_what_is_wrong_with_channels(calls, line, message):
    path = calls / "reco2file_and_channel"
    write(path, *path.read_text().splitlines(), line)
    check_refusal(calls, f"{path}:5: {message}")


def test_a_channel_that_is_not_there(calls):
    write(calls / "reco2file_and_channel", "c1-A c1 3")
    check_refusal(calls, "segments:1: ", "c1.wav has no channel 3: it has 2")


def test_a_recording_that_cannot_be_read(calls):
    (calls.parents[1] / "calls" / "c2.wav").write_bytes(b"")
    check_refusal(calls, "wav.scp:3: ", "c2.wav is an empty file")


def test_the_same_audio_under_two_names(train, tmp_path):
    lines = (train / "wav.scp").read_text().splitlines()
    write(train / "wav.scp", *lines[:-1], f"dora-2 {tmp_path}/wav/dora-1.wav")
    check_refusal(train, "wav.scp:8: 'dora-2' is the same audio as 'dora-1': ")


# ---- pipes


def pipe(folder, command):
    """Replaces the paths in a wav.scp by a command."""
    names = read_fields(folder / "wav.scp")
    write(folder / "wav.scp", *(f"{name} {command.format(path)} |" for name, path in names))


def test_pipes_are_not_run_unasked(train):
    pipe(train, f"touch {train.parents[1]}/ran; cat {{}}")
    check_refusal(train, "wav.scp:1: is a command", "wav.scp:8: is a command")
    assert not (train.parents[1] / "ran").exists()


def test_pipes_become_flac_once(train, tmp_path):
    pipe(train, f"echo x >> {tmp_path}/ran; cat {{}}")
    out = run(train, "--run_pipes")
    labels = read_labels(out / "train_labels.txt")
    files = sorted(path.name for path in (out / "audio").iterdir())
    assert labels.names == files and len(files) == 8 and files[0].startswith("anna-1-")
    assert (soundfile.info(out / "audio" / files[3]).subtype) == "PCM_16"
    decoded, rate = soundfile.read(out / "audio" / files[3], dtype="int16")
    assert rate == RATE and decoded.tolist() == list(range(300, 300 + RATE))
    run(train, "--run_pipes")
    assert (tmp_path / "ran").read_text().count("x") == 8
    changed = (train / "wav.scp").read_text().replace("anna-1.wav |", "anna-1.wav; true |")
    (train / "wav.scp").write_text(changed)  # another command: another file
    run(train, "--run_pipes")
    assert (tmp_path / "ran").read_text().count("x") == 9


def test_pipes_with_segments_and_channels(calls):
    pipe(calls, "cat {}")
    out = run(calls, "--run_pipes")
    names = read_labels(out / "train_labels.txt").names
    # Both recordings have the same command, and so the same file.
    assert names[3].startswith("c1-A-") and names[3].endswith(".flac#t=0.25&channel=2")
    write(calls / "segments", "c1-A-0 c1-A 0 9")
    write(calls / "spk2utt", "spk1 c1-A-0")
    with pytest.raises(InputError, match="needs two speakers"):
        run(calls, "--run_pipes")


def test_pipes_that_fail_are_named(train):
    lines = (train / "wav.scp").read_text().splitlines()
    lines[1] = "anna-2 echo no such tape >&2; exit 3 |"
    lines[2] = f"bert-1 head -c 5000 {lines[2].split()[1]} |"
    lines[3] = "bert-2 true |"
    write(train / "wav.scp", *lines)
    with pytest.raises(InputError) as raised:
        run(train, "--run_pipes")
    message = str(raised.value)
    assert "wav.scp:2: the command fails: no such tape" in message
    assert "wav.scp:3: the command fails: its output is truncated" in message
    assert "wav.scp:4: the command fails: its output is an empty file" in message
    out = train.parents[1] / "lists"
    assert texts(out / "audio") == {} and not (out / "train_labels.txt").exists()


def test_killed_in_the_middle_it_leaves_no_half_file_and_goes_on(train, tmp_path):
    pipe(train, f"test -e {tmp_path}/go || sleep 60; cat {{}}")
    lines = (train / "wav.scp").read_text().splitlines()
    write(train / "wav.scp", f"anna-1 cat {tmp_path}/wav/anna-1.wav |", *lines[1:])
    command = [sys.executable, ROOT / "local" / "corpora" / "kaldi.py", train, "--run_pipes"]
    out = tmp_path / "lists"
    process = subprocess.Popen([*command, "--out_dir", out], start_new_session=True)
    while not list((out / "audio").glob("*.flac")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list((out / "audio").glob("*.flac"))) == 1 and not list(out.glob("*.txt"))
    (tmp_path / "go").touch()
    run(train, "--run_pipes")
    assert len(list((out / "audio").iterdir())) == 8
    assert len(read_labels(out / "train_labels.txt").names) == 8


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_ffmpeg_into_a_pipe(train):
    """It can't know the length that it writes to the header."""
    pipe(train, "ffmpeg -v error -i {} -f wav -ar 16000 -")
    out = run(train, "--run_pipes")
    info = soundfile.info(next((out / "audio").iterdir()))
    assert (info.samplerate, info.channels) == (16000, 1) and abs(info.frames - 16000) < 20
