import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from local.audio import packing as audio_packing
from local.audio.packed import PackedAudio, Shard
from local.audio.packed_index import read_index
from local.audio.packing import pack_audio
from local.audio.reading import read_audio
from local.errors import InputError, Problems
from local.lists.file_lists import Recordings, find_recordings
from recipes import pack_audio as pack


class Corpus:
    """Audio of noise, and where it is packed."""

    def __init__(self, folder):
        self.audio = folder / "audio"
        self.out_dir = folder / "packed"

    def add(self, name, num_samples=100, rate=16000, channels=1, **settings):
        path = self.audio / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(len(name) + num_samples)
        soundfile.write(path, rng.uniform(-1, 1, (num_samples, channels)), rate, **settings)
        return path

    def pack(self, **settings):
        """What was packed, and the text of all problems."""
        problems = Problems(100)
        recordings = find_recordings([str(self.audio)], problems)
        packed = pack_audio(
            recordings, self.audio, self.out_dir, problems, progress=False, **settings
        )
        return packed, messages(problems)

    def samples(self):
        return {name: read(place).tolist() for name, place in read_index(self.out_dir).items()}

    def times(self):
        return [path.stat().st_mtime_ns for path in sorted(self.out_dir.glob("*.arrow"))]


def messages(problems):
    try:
        problems.raise_if_any()
        return ""
    except InputError as error:
        return str(error)


def read(place):
    # Not by PackedAudio.open, which keeps the shard open that was there first.
    with PackedAudio(Shard(place.path)) as file:
        file.seek(place.start)
        samples = np.empty(place.stop - place.start, np.int16)
        assert file.buffer_read_into(samples) == len(samples)
        return samples


@pytest.fixture
def corpus(tmp_path):
    corpus = Corpus(tmp_path)
    for number in range(5):
        corpus.add(f"u{number}.wav")
    return corpus


# ---- what is packed


def test_samples_are_those_that_training_reads_from_the_file(tmp_path):
    corpus = Corpus(tmp_path)
    paths = {
        "plain": corpus.add("plain.wav"),
        "anna/v1.2/x.y": corpus.add("anna/v1.2/x.y.flac"),
        "short": corpus.add("short.flac", num_samples=1),
        "slow": corpus.add("slow.wav", rate=8000),
        "stereo": corpus.add("stereo.wav", channels=2),
        "fast": corpus.add("fast.flac", num_samples=5000, rate=44100, channels=2),
        "float": corpus.add("float.wav", subtype="FLOAT"),
        "ünï/日本 1": corpus.add("ünï/日本 1.wav"),
        "lossy": corpus.add("lossy.ogg", num_samples=5000),
        "loud": corpus.add("loud.WAV", subtype="PCM_24"),
    }
    packed, problems = corpus.pack()
    assert not problems
    assert corpus.samples() == {name: read_audio(path).tolist() for name, path in paths.items()}
    assert packed.num_utterances == len(paths)


def test_another_rate(corpus):
    path = corpus.add("slow.flac", rate=8000)
    corpus.pack(sample_rate=8000)
    assert {place.sample_rate for place in read_index(corpus.out_dir).values()} == {8000}
    assert corpus.samples()["slow"] == read_audio(path, sample_rate=8000).tolist()
    assert len(corpus.samples()["u0"]) == 50


def test_shards_and_batches_are_full_but_not_more_than_full(corpus, monkeypatch):
    monkeypatch.setattr(audio_packing, "BATCH_SAMPLES", 150)
    corpus.add("u2.wav", num_samples=1000)
    packed, _ = corpus.pack(shard_samples=250)
    assert packed.paths == [corpus.out_dir / f"audio-0000{number}.arrow" for number in range(3)]
    index = read_index(corpus.out_dir)
    assert [(name, Path(place.path).name[10], place.start) for name, place in index.items()] == [
        ("u0", "0", 0), ("u1", "0", 100), ("u2", "1", 0), ("u3", "2", 0), ("u4", "2", 100),
    ]  # fmt: skip
    assert corpus.samples()["u2"] == read_audio(corpus.audio / "u2.wav").tolist()


def test_the_number_of_workers_changes_nothing(corpus):
    contents = []
    for num_workers in (1, 3):
        corpus.out_dir = corpus.out_dir.with_name(f"packed{num_workers}")
        corpus.pack(num_workers=num_workers)
        contents.append((corpus.out_dir / "audio-00000.arrow").read_bytes())
    assert contents[0] == contents[1]


# ---- again


def test_the_second_time_nothing_is_written(corpus):
    first, _ = corpus.pack(shard_samples=200)
    times = corpus.times()
    again, _ = corpus.pack(shard_samples=200)
    assert (first.num_kept, again.num_kept) == (0, 3)
    assert again[:2] == first[:2] and corpus.times() == times


def test_only_what_has_changed_is_written_again(corpus):
    corpus.pack(shard_samples=200)
    before = corpus.times()
    soundfile.write(corpus.audio / "u3.wav", np.full(100, 0.5), 16000)
    corpus.add("u5.wav")
    corpus.add("u6.wav")
    packed, _ = corpus.pack(shard_samples=200)
    assert (len(packed.paths), packed.num_kept) == (4, 1)
    after = corpus.times()
    assert after[0] == before[0] and after[1] != before[1]
    assert corpus.samples()["u3"] == [16384] * 100
    assert len(corpus.samples()) == 7


def test_it_goes_on_where_it_was_stopped(corpus, monkeypatch):
    as_batch = audio_packing._as_batch

    def stop(names, samples):
        if "u4" in names:
            raise KeyboardInterrupt
        return as_batch(names, samples)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(audio_packing, "_as_batch", stop)
        corpus.pack(shard_samples=200)
    assert set(os.listdir(corpus.out_dir)) == {
        ".lock", ".audio.npz", "audio-00000.arrow", "audio-00001.arrow",
    }  # fmt: skip
    # As after a kill.
    (corpus.out_dir / ".audio-00002.arrow.123.tmp").write_bytes(b"half")
    packed, _ = corpus.pack(shard_samples=200)
    assert packed.num_kept == 2 and len(corpus.samples()) == 5
    assert not list(corpus.out_dir.glob(".*.tmp"))


def test_damaged_shards_are_made_again_when_they_are_deleted(corpus):
    """They are not replaced: the recordings may be gone."""
    corpus.pack(shard_samples=200)
    samples = corpus.samples()
    path = corpus.out_dir / "audio-00001.arrow"
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(InputError, match="audio-00001.arrow is damaged .*: delete it"):
        corpus.pack(shard_samples=200)
    path.unlink()
    packed, _ = corpus.pack(shard_samples=200)
    assert packed.num_kept == 2 and path.read_bytes() == content
    assert corpus.samples() == samples


def test_other_arrow_files_are_not_replaced(corpus):
    corpus.out_dir.mkdir()
    path = corpus.out_dir / "audio-00000.arrow"
    with pa.ipc.new_file(str(path), pa.schema([("text", pa.string())])):
        pass
    content = path.read_bytes()
    with pytest.raises(InputError, match="is an Arrow file, but not of packed audio"):
        corpus.pack()
    assert path.read_bytes() == content


def test_fewer_shards_leave_none_of_the_old_ones(corpus):
    corpus.pack(shard_samples=100)
    packed, _ = corpus.pack(shard_samples=300)
    assert len(packed.paths) == len(corpus.times()) == 2
    assert len(corpus.samples()) == 5


@pytest.mark.parametrize("loss", ["no longer listed", "no longer readable"])
def test_utterances_are_not_lost_with_their_recordings(corpus, loss):
    corpus.pack()
    samples = corpus.samples()
    if loss == "no longer listed":
        (corpus.audio / "u2.wav").unlink()
    else:
        (corpus.audio / "u2.wav").write_bytes(b"")
    with pytest.raises(
        InputError, match="packed has 1 utterances that this command doesn.t pack, such as 'u2'"
    ):
        corpus.pack()
    assert corpus.samples() == samples


# ---- failures


def damaged_flac(path, num_samples=50000):
    """A file that only shows while it is decoded that it is damaged."""
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, num_samples), 16000)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)


def test_recordings_that_fail_are_named_and_the_rest_is_packed(corpus, tmp_path):
    (corpus.audio / "empty.wav").touch()
    (corpus.audio / "text.flac").write_text("not audio")
    (corpus.audio / "cut.wav").write_bytes((corpus.audio / "u0.wav").read_bytes()[:-20])
    damaged_flac(corpus.audio / "damaged.flac")
    for _ in range(2):  # also when everything else is there already
        packed, problems = corpus.pack()
        assert packed.num_utterances == 5
        assert set(corpus.samples()) == {"u0", "u1", "u2", "u3", "u4"}
        for name in ("empty.wav", "text.flac", "cut.wav", "damaged.flac"):
            assert f"{corpus.audio}/{name}" in problems
        assert "u0.wav" not in problems and problems.count("\n") == 3


def test_a_repaired_recording_is_added(corpus):
    damaged_flac(corpus.audio / "damaged.flac")
    corpus.pack(shard_samples=200)
    assert "damaged" not in corpus.samples()
    corpus.add("damaged.flac")
    _, problems = corpus.pack(shard_samples=200)
    assert not problems and "damaged" in corpus.samples()


def test_names_that_are_not_text(corpus):
    try:
        os.link(corpus.audio / "u1.wav", corpus.audio / os.fsdecode(b"\xff.wav"))
    except OSError:
        pytest.skip("the file system has only UTF-8 names")
    _, problems = corpus.pack()
    assert problems.endswith("audio/\\udcff.wav': is not a UTF-8 name: rename it")
    assert len(corpus.samples()) == 5


def test_where_nothing_can_be_packed_or_written(corpus, tmp_path):
    nothing = Recordings(["a"], ["a"], [("list", 1)])
    with pytest.raises(InputError, match="nowhere: there is no such data directory"):
        pack_audio(nothing, tmp_path / "nowhere", corpus.out_dir, Problems(), progress=False)
    problems = Problems()
    packed = pack_audio(nothing, corpus.audio, corpus.out_dir, problems, progress=False)
    assert packed == ([], 0, 0) and "list:1: there is no audio file" in messages(problems)
    corpus.out_dir = corpus.audio / "u0.wav" / "packed"
    with pytest.raises(InputError, match="packed: can't be written"):
        corpus.pack()


# ---- the script


def run(corpus, *options):
    pack.main([str(corpus.audio), "--out_dir", str(corpus.out_dir), "--noprogressbar", *options])


def test_script_packs_a_folder_and_says_how_to_train(corpus, capsys):
    run(corpus)
    assert len(corpus.samples()) == 5
    printed = capsys.readouterr().out
    assert f"{corpus.out_dir}: 5 utterances in 1 files; 0 of the files were there" in printed
    assert f"--train_data_dir {corpus.out_dir}" in printed


@pytest.mark.parametrize(
    "text",
    [
        "u1\nu3\n",
        "u1 0 -1\nu3 1 -1\n",
        "u1 u3\nu3 u1\n",
        "u1 u3 phone\n",
        "1 u1 u3\n0 u3 u1\n",
        "u1 u3 target\nu3 u1 nontarget\n",
        "\n u1\tu3 target far\r\n",
    ],
)
def test_lists_in_all_their_forms(corpus, tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_text(text)
    run(corpus, "--lists", str(path))
    assert list(corpus.samples()) == ["u1", "u3"]


def test_several_lists_name_each_recording_once(corpus, tmp_path):
    labels, clients = tmp_path / "labels.txt", tmp_path / "clients.txt"
    labels.write_text("u0 0 -1\nu1 1 -1\n")
    clients.write_text("u1 u4\n")
    run(corpus, "--lists", str(labels), str(clients))
    assert list(corpus.samples()) == ["u0", "u1", "u4"]


def test_wrong_lines_and_lists_are_named_and_the_rest_is_packed(corpus, tmp_path, capsys):
    path = tmp_path / "labels.txt"
    path.write_text("u0 0 -1\nu1 0\nu2 0 -1\nnone 0 -1\n")
    with pytest.raises(InputError) as raised:
        run(corpus, "--lists", str(path), str(tmp_path / "no.txt"))
    for message in (
        "labels.txt:2: expected 3 fields, 'PATH LABEL -1', but found 2",
        f"labels.txt:4: there is no audio file {corpus.audio}/none",
        "no.txt: can't be read (No such file",
    ):
        assert message in str(raised.value)
    assert list(corpus.samples()) == ["u0", "u2"]
    assert "3 problems" in capsys.readouterr().err


def test_wrong_arguments(corpus, tmp_path):
    with pytest.raises(InputError, match="no.txt: can't be read"):
        run(corpus, "--lists", str(tmp_path / "no.txt"))
    with pytest.raises(InputError, match="--shard_gb 0: more than 0"):
        run(corpus, "--shard_gb", "0")
    corpus.audio = tmp_path / "nowhere"
    with pytest.raises(InputError, match="nowhere: there is no such"):
        run(corpus)
    assert not corpus.out_dir.exists()


def test_script_from_the_command_line(corpus):
    (corpus.audio / "empty.wav").touch()
    command = [sys.executable, pack.__file__, corpus.audio, "--out_dir", corpus.out_dir]
    result = subprocess.run(command, capture_output=True, text=True, cwd=corpus.audio)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith("empty.wav is an empty file (0 bytes)")
    assert "Traceback" not in result.stderr
    assert len(corpus.samples()) == 5
