import csv
import logging
import os
import unicodedata

import numpy as np
import pytest
import soundfile
from speechbrain.dataio.dataset import DynamicItemDataset

from local.audio import checking as audio_check
from local.data.manifest_files import COLUMNS, read_manifest, write_manifest
from local.data.manifests import Manifest, prepare_training, prepare_trials
from local.errors import InputError
from local.lists.trials import read_trials


@pytest.fixture
def corpus(tmp_path):
    """Two speakers of one utterance each; what a test adds, it adds to these."""
    return Corpus(tmp_path)


class Corpus:
    def __init__(self, folder):
        self.folder = folder
        self.audio = folder / "audio"
        self.labels = folder / "labels.txt"
        self.manifest = folder / "out" / "train.csv"
        self.lines = []
        self.add("anna/1", 0)
        self.add("bert/1", 1)

    def add(self, name, label, num_samples=8000, rate=16000, num_channels=1, extension=".wav"):
        self.lines.append(f"{name} {label} -1")
        path = self.audio / (name + extension)
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.random.default_rng(0).normal(0, 0.1, (num_samples, num_channels))
        soundfile.write(path, samples, rate)
        return path

    def prepare(self, **settings):
        self.labels.write_text("\n".join(self.lines), encoding="utf-8")
        return prepare_training(self.labels, self.audio, self.manifest, progress=False, **settings)

    def rows(self):
        with open(self.manifest, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def problems(self, **settings):
        with pytest.raises(InputError) as error:
            self.prepare(**settings)
        assert not self.manifest.exists()
        assert not list(self.manifest.parent.glob("*.tmp"))
        return str(error.value).replace(f"{self.labels}:", "line ").replace(f"{self.audio}/", "")


# ---- what a manifest holds


def test_manifest_of_a_label_file(corpus):
    corpus.add("anna/2.b", 0, num_samples=24000)
    manifest = corpus.prepare()
    assert manifest == Manifest(corpus.manifest, 3, 2, 2.5, 0, 0)
    assert corpus.rows()[2] == {
        "ID": "anna/2.b",
        "duration": "1.5",
        "wav": str(corpus.audio / "anna/2.b.wav"),
        "start": "0",
        "stop": "24000",
        "spk_id": "0",
    }
    assert [row["ID"] for row in corpus.rows()] == ["anna/1", "bert/1", "anna/2.b"]


def test_other_rates_and_channels_are_counted(corpus, caplog):
    corpus.add("anna/2", 0, num_samples=4000, rate=8000)
    corpus.add("anna/3", 0, num_samples=44100, rate=44100, num_channels=2, extension=".flac")
    with caplog.at_level(logging.INFO):
        manifest = corpus.prepare()
    assert (manifest.num_resampled, manifest.num_downmixed) == (2, 1)
    assert manifest.seconds == pytest.approx(0.5 + 0.5 + 0.5 + 1)
    # Positions in the file are at its own rate.
    assert [row["stop"] for row in corpus.rows()[2:]] == ["4000", "44100"]
    assert "2 are not at 16000 Hz: resampled" in caplog.text
    assert "1 have several channels: averaged" in caplog.text


def test_audio_as_it_lies_on_disks(corpus):
    """Extensions in capitals or unknown, another normal form, links; and what TIMIT calls .WAV."""
    composed, decomposed = (unicodedata.normalize(form, "žofie/é") for form in ("NFC", "NFD"))
    paths = [
        corpus.add(decomposed, 0, extension=".FLAC"),
        corpus.audio / "carl/SA1.WAV",
        corpus.add("carl/2.aiff", 1, extension=""),
        corpus.audio / "bert/link.wav",
    ]
    soundfile.write(paths[1], np.full(8000, 0.1), 16000, format="NIST")
    paths[3].symlink_to("../carl/2.aiff")
    corpus.lines[2:] = [f"{composed} 0 -1", "carl/SA1 2 -1", "carl/2.aiff 2 -1", "bert/link 1 -1"]
    corpus.prepare()
    assert [row["wav"] for row in corpus.rows()[2:]] == [str(path) for path in paths]


def test_a_link_that_leads_nowhere_is_said_to_be_one(corpus):
    (corpus.audio / "anna/2.wav").symlink_to("../gone.wav")
    corpus.lines.append("anna/2 0 -1")
    message = "line 3: anna/2.wav is a link to ../gone.wav, which is not there"
    assert message in corpus.problems()


NAMES = [
    "a,b/c",
    'quo"te/1',
    "it's/1",
    "Łukasz/名前",
    "$HOME/$x.y",
    "no\u00a0break/1",
    "#1;x",
    "-/x",
]


class KeepDollars(dict):
    """Lets SpeechBrain, which would replace `$name` in a CSV and can't escape it, leave it."""

    def __missing__(self, name):
        return f"${name}"


@pytest.mark.parametrize("folder", ["audio", "two words, $data é"])
def test_odd_names_survive_the_way_through_speechbrain(corpus, folder):
    corpus.audio = corpus.folder / folder
    corpus.lines = []
    paths = [corpus.add(name, label) for label, name in enumerate(NAMES)]
    corpus.prepare()
    dataset = DynamicItemDataset.from_csv(
        corpus.manifest, replacements=KeepDollars(), output_keys=["id", "wav", "spk_id", "duration"]
    )
    items = [dataset[index] for index in range(len(dataset))]
    assert [item["id"] for item in items] == NAMES
    assert [item["wav"] for item in items] == [str(path) for path in paths]
    assert [int(item["spk_id"]) for item in items] == list(range(len(NAMES)))
    assert items[0]["duration"] == 0.5


def test_rows_are_read_and_written_again_to_the_same_bytes(corpus):
    corpus.lines = []
    for label, name in enumerate(NAMES):
        corpus.add(name, label)
    corpus.prepare()
    rows = list(read_manifest(corpus.manifest))
    assert rows == corpus.rows() and [row["ID"] for row in rows] == NAMES
    write_manifest(corpus.folder / "copy.csv", iter(rows))
    assert (corpus.folder / "copy.csv").read_bytes() == corpus.manifest.read_bytes()


def test_other_columns_are_read_but_not_written(tmp_path):
    values = {column: f"{column}, {number}" for number, column in enumerate(COLUMNS)}
    with open(tmp_path / "a.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ("sex", *reversed(COLUMNS)))
        writer.writeheader()
        writer.writerow({"sex": "F"} | values)
    (row,) = read_manifest(tmp_path / "a.csv")
    assert row == {"sex": "F"} | values
    write_manifest(tmp_path / "b.csv", [row])
    assert list(read_manifest(tmp_path / "b.csv")) == [values]
    assert (tmp_path / "b.csv").read_text().startswith(",".join(COLUMNS) + "\n")


@pytest.mark.parametrize(
    "content, message",
    [
        (None, r"can't be read \(No such file or directory\)"),
        (b"", "is no manifest: it needs the columns ID, duration, wav, start, stop, spk_id"),
        (b"ID,duration,wav,start,stop\na,1,a.wav,0,9\n", "is no manifest"),
        (b"anna/1 0 -1\n", "is no manifest"),
        ("ID,duration,wav,start,stop,spk_id\nž".encode("latin2"), r"can't be read \(not UTF-8"),
    ],
)
def test_what_is_no_manifest_is_not_read(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=f"x.csv: {message}"):
        list(read_manifest(tmp_path / "x.csv"))


def test_an_interrupted_write_leaves_the_manifest_as_it_was(tmp_path):
    def rows():
        yield dict.fromkeys(COLUMNS, "new")
        raise KeyboardInterrupt

    write_manifest(tmp_path / "a.csv", [dict.fromkeys(COLUMNS, "old")])
    with pytest.raises(KeyboardInterrupt):
        write_manifest(tmp_path / "a.csv", rows())
    assert [row["ID"] for row in read_manifest(tmp_path / "a.csv")] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_manifest_of_trials(corpus):
    corpus.add("bert/2", 1)
    (corpus.folder / "clients.txt").write_text("bert/1 bert/2\n")
    (corpus.folder / "impostors.txt").write_text("bert/1 anna/1\n")
    trials = read_trials(corpus.folder / "clients.txt", corpus.folder / "impostors.txt")
    manifest = prepare_trials(trials, corpus.audio, corpus.manifest, progress=False)
    assert manifest == Manifest(corpus.manifest, 3, 0, 1.5, 0, 0)
    assert [row["ID"] for row in corpus.rows()] == ["bert/1", "bert/2", "anna/1"]
    assert {row["spk_id"] for row in corpus.rows()} == {""}
    dataset = DynamicItemDataset.from_csv(corpus.manifest, output_keys=["spk_id"])
    assert dataset[0] == {"spk_id": ""}


def test_trials_without_audio(corpus):
    clients, impostors = corpus.folder / "clients.txt", corpus.folder / "impostors.txt"
    clients.write_text("anna/1 gone/1\n")
    impostors.write_text("anna/1 bert/1\nanna/1 gone/2\n")
    with pytest.raises(InputError) as error:
        prepare_trials(
            read_trials(clients, impostors), corpus.audio, corpus.manifest, progress=False
        )
    first, second = str(error.value).split("\n")
    assert first.startswith(f"{clients}:1: there is no audio file {corpus.audio}/gone/1 ")
    assert second.startswith(f"{impostors}:2: there is no audio file {corpus.audio}/gone/2 ")


# ---- bad input


def test_missing_audio_names_the_extensions(corpus):
    corpus.lines.append("anna/none 0 -1")
    assert corpus.problems() == (
        "line 3: there is no audio file anna/none "
        "(tried the extensions .wav .flac .ogg .opus .mp3 .sph)"
    )


def test_directory_in_place_of_audio(corpus):
    (corpus.audio / "anna/2.wav").mkdir()
    corpus.lines.append("anna/2 0 -1")
    assert corpus.problems() == "line 3: anna/2.wav is a directory, not an audio file"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "anna/1.wav is an empty file (0 bytes)"),
        (b"no audio" * 100, "anna/1.wav can't be read as audio: Format not recognised."),
    ],
)
def test_what_is_no_audio(corpus, content, message):
    (corpus.audio / "anna/1.wav").write_bytes(content)
    assert corpus.problems() == f"line 1: {message}"


def test_truncated_audio(corpus):
    path = corpus.audio / "bert/1.wav"
    path.write_bytes(path.read_bytes()[:5000])
    assert corpus.problems() == "line 2: bert/1.wav is truncated: get or make it again"


def test_audio_without_samples(corpus):
    corpus.add("anna/2", 0, num_samples=0)
    assert corpus.problems() == "line 3: anna/2.wav has 0 samples"


def test_audio_with_nan(corpus):
    soundfile.write(corpus.audio / "anna/1.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    assert corpus.problems() == "line 1: anna/1.wav holds samples that are NaN or infinite"


def test_audio_that_is_too_short(corpus):
    corpus.add("anna/2", 0, num_samples=800)
    message = "line 3: anna/2.wav is too short: 0.05 s, at least 0.1 s are needed"
    assert corpus.problems() == message
    assert corpus.prepare(min_seconds=0.05).num_utterances == 3
    # Also where the length is known from the run before.
    corpus.manifest.unlink()
    assert corpus.problems() == message


def test_one_file_by_two_names(corpus):
    corpus.lines.append("anna/1.wav 1 -1")
    assert corpus.problems() == "line 3: anna/1.wav is already on line 1, as 'anna/1'"


@pytest.mark.parametrize(
    "name", ["anna//1", "./anna/1", "anna/../anna/1", "bert/.././anna//1.wav", "../audio/anna/1"]
)
def test_one_file_by_two_spellings(corpus, name):
    corpus.lines.append(f"{name} 1 -1")
    assert corpus.problems() == "line 3: anna/1.wav is already on line 1, as 'anna/1'"
    corpus.lines[:] = [f"{name} 0 -1", "bert/1 1 -1"]
    corpus.prepare()
    assert corpus.rows()[0]["wav"] == str(corpus.audio / "anna/1.wav")
    assert corpus.rows()[0]["ID"] == name


def test_the_folder_above_a_link_is_not_the_one_of_its_name(corpus):
    corpus.add("disk/sub/x", 0)
    corpus.add("disk/1", 0)
    (corpus.audio / "anna/link").symlink_to(corpus.audio / "disk/sub")
    corpus.lines[-1] = "anna/link/../1 1 -1"  # disk/1, not anna/1
    assert corpus.prepare().num_utterances == 4
    assert os.path.samefile(corpus.rows()[-1]["wav"], corpus.audio / "disk/1.wav")


@pytest.mark.parametrize("name", ["anna//1", "anna/1.wav", "bert/../anna/1"])
def test_trials_with_one_file_by_two_names(corpus, tmp_path, name):
    clients, impostors = tmp_path / "clients.txt", tmp_path / "impostors.txt"
    corpus.add("anna/2", 0)
    clients.write_text("anna/1 anna/2\n")
    impostors.write_text(f"bert/1 {name}\n")
    with pytest.raises(InputError) as error:
        prepare_trials(read_trials(clients, impostors), corpus.audio, tmp_path / "t.csv")
    path = corpus.audio / "anna/1.wav"
    assert str(error.value) == f"{impostors}:1: {path} is already in {clients}:1, as 'anna/1'"


def test_all_problems_of_the_audio_in_the_order_of_the_lines(corpus):
    corpus.add("anna/2", 0, num_samples=1)
    corpus.lines += [f"anna/none{i} 0 -1" for i in range(20)]
    lines = corpus.problems().split("\n")
    assert [line.split(":")[0] for line in lines[:-1]] == [f"line {i}" for i in range(3, 13)]
    assert lines[-1] == "... and 11 more problems like these"


def test_text_is_checked_before_any_audio_is_looked_for(corpus):
    corpus.lines += ["anna/none 0 -1", "bert/1 0 -1"]
    assert corpus.problems() == "line 4: 'bert/1' has label 0 here and label 1 on line 2"


def test_missing_label_file(corpus):
    with pytest.raises(InputError, match="none.txt: can't be read"):
        prepare_training(corpus.folder / "none.txt", corpus.audio, corpus.manifest, progress=False)


def test_missing_data_directory(corpus):
    corpus.audio = corpus.folder / "elsewhere"
    assert corpus.problems() == f"{corpus.audio}: there is no such data directory"


def test_folder_that_cannot_be_made(corpus):
    (corpus.folder / "out").write_text("a file")
    with pytest.raises(InputError, match=r"/out: can't be written \(File exists\)"):
        corpus.prepare()


# ---- a second run


@pytest.fixture
def opened(monkeypatch):
    """The names of the folders of the audio that is opened."""
    folders = []
    check = audio_check._file_size

    def noting(path):
        folders.append(os.path.basename(os.path.dirname(path)))
        return check(path)

    monkeypatch.setattr(audio_check, "_file_size", noting)
    return folders


def state(path):
    status = os.stat(path)
    return path.read_bytes(), status.st_mtime_ns, status.st_mode


def test_unchanged_audio_is_not_opened_again(corpus, opened, caplog):
    first = corpus.prepare()
    before = state(corpus.manifest)
    opened.clear()
    with caplog.at_level(logging.INFO):
        assert corpus.prepare() == first
    assert opened == []
    assert state(corpus.manifest) == before
    assert "train.csv (unchanged): 2 utterances of 2 speakers" in caplog.text


def test_changed_audio_is_noticed(corpus, opened):
    corpus.prepare()
    soundfile.write(corpus.audio / "bert/1.wav", np.zeros(16000), 16000)
    opened.clear()
    assert corpus.prepare().seconds == 1.5
    assert opened == ["bert"]
    assert corpus.rows()[1]["duration"] == "1.0"


def test_audio_of_the_same_size_but_another_time_is_noticed(corpus):
    corpus.prepare()
    path = corpus.audio / "bert/1.wav"
    before = os.stat(path)
    soundfile.write(path, np.zeros(8000), 8000)
    os.utime(path, ns=(0, before.st_mtime_ns + 1))
    assert os.stat(path).st_size == before.st_size
    assert corpus.prepare().num_resampled == 1


def test_audio_of_the_same_time_but_another_size_is_noticed(corpus):
    corpus.prepare()
    path = corpus.audio / "bert/1.wav"
    before = os.stat(path)
    soundfile.write(path, np.zeros(16000), 16000)
    os.utime(path, ns=(0, before.st_mtime_ns))
    assert corpus.prepare().seconds == 1.5


def test_changed_labels_are_noticed(corpus, opened):
    corpus.prepare()
    opened.clear()
    corpus.lines.reverse()
    corpus.prepare()
    assert [row["ID"] for row in corpus.rows()] == ["bert/1", "anna/1"]
    assert opened == []


def test_what_was_read_is_kept_when_a_file_is_bad(corpus, opened):
    corpus.lines.append("anna/2 0 -1")
    assert "line 3: there is no audio file" in corpus.problems()
    opened.clear()
    corpus.lines.pop()
    corpus.add("anna/2", 0)
    opened.clear()
    corpus.prepare()
    assert opened == ["anna"]


class MakesFolder:
    """Its pickle makes a folder when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_table_with_a_pickle_is_not_run(corpus):
    folder = corpus.folder / "made"
    corpus.manifest.parent.mkdir()
    np.savez(
        corpus.manifest.parent / "train.audio.npz",
        **{"version": 1, "paths": np.array([MakesFolder(folder)]), "facts": np.zeros((1, 5), int)},
    )
    corpus.prepare()
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["cut", "text", "array", "other table"])
def test_damaged_table_is_made_again(corpus, opened, damage):
    first = corpus.prepare()
    table = corpus.manifest.parent / "train.audio.npz"
    content = table.read_bytes()
    if damage == "cut":
        table.write_bytes(content[: len(content) // 2])
    elif damage == "text":
        table.write_text("path,size\n")
    elif damage == "array":
        with open(table, "wb") as file:
            np.save(file, np.zeros(3))
    else:
        np.savez(table, version=1, paths=np.zeros(3, np.uint8), facts=np.zeros((2, 5), np.int64))
    opened.clear()
    assert corpus.prepare() == first
    assert len(opened) == 2
    opened.clear()
    corpus.prepare()
    assert opened == []
