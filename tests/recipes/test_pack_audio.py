"""Packed audio in place of the folder it was made of."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from corpora import TINY, as_arguments, write_corpus, write_voice

from local.audio.reading import read_audio, read_chunk
from local.data.manifest_files import read_manifest
from local.data.manifests import prepare_training
from local.errors import InputError
from recipes import pack_audio as pack

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def packed(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    # Of two utterances a file.
    options = ["--shard_gb", "0.00007", "--noprogressbar"]
    pack.main([corpus["train_data_dir"], "--out_dir", str(folder), *options])
    assert len(list(folder.glob("*.arrow"))) > 4
    return folder


def rows_of(corpus, folder, path):
    prepare_training(corpus["train_labels_path"], folder, path, progress=False)
    return list(read_manifest(path))


def test_utterances_and_windows_are_those_of_the_files(corpus, packed, tmp_path):
    single = rows_of(corpus, corpus["train_data_dir"], tmp_path / "single.csv")
    together = rows_of(corpus, packed, tmp_path / "packed.csv")
    assert [row["ID"] for row in together] == [row["ID"] for row in single]
    assert [row["duration"] for row in together] == [row["duration"] for row in single]
    assert any(int(row["start"]) > 0 for row in together)
    for row in zip(single, together, strict=True):
        places = [(one["wav"], int(one["start"]), int(one["stop"])) for one in row]
        assert np.array_equal(*(read_audio(*place) for place in places))
        windows = [read_chunk(*place, 3000, np.random.default_rng(5)) for place in places]
        assert np.array_equal(*windows)


def test_a_training_is_the_same(corpus, packed, tmp_path):
    main = runpy.run_path(str(ROOT / "recipes" / "train_vgg.py"))["main"]
    logs = []
    for name, folder in (("files", corpus["train_data_dir"]), ("packed", packed)):
        settings = TINY | corpus | {"train_data_dir": folder, "valid_data_dir": folder}
        settings |= {"out_dir": tmp_path / name, "max_memory_gb": 0, "num_workers": 0}
        arguments = as_arguments(settings | {"number_of_epochs": 1})
        main([str(ROOT / "hparams" / "vgg.yaml"), "--noprogressbar", *arguments])
        logs.append((tmp_path / name / "train_log.txt").read_text())
    assert logs[0] == logs[1]


def test_names_with_and_without_extension(packed, tmp_path):
    (tmp_path / "labels.txt").write_text("s0/u.0.wav 0 -1\ns1/u.1 1 -1\n")
    corpus = {"train_labels_path": tmp_path / "labels.txt"}
    assert len(rows_of(corpus, packed, tmp_path / "train.csv")) == 2


def test_utterances_that_are_not_packed_or_come_twice(packed, tmp_path):
    (tmp_path / "labels.txt").write_text("s0/u.0 0 -1\ns1/u.9 1 -1\ns0/u.0.wav 1 -1\n")
    corpus = {"train_labels_path": tmp_path / "labels.txt"}
    with pytest.raises(InputError) as raised:
        rows_of(corpus, packed, tmp_path / "train.csv")
    assert f"labels.txt:2: there is no 's1/u.9' in the packed audio of {packed}" in str(
        raised.value
    )
    assert "labels.txt:3: " in str(raised.value) and "is already on line 1" in str(raised.value)


def test_a_damaged_shard(corpus, tmp_path):
    write_voice(tmp_path / "audio" / "a.wav", 100)
    pack.main([str(tmp_path / "audio"), "--out_dir", str(tmp_path / "packed"), "--noprogressbar"])
    (shard,) = (tmp_path / "packed").glob("*.arrow")
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(InputError, match="audio-00000.arrow is damaged"):
        rows_of(corpus, tmp_path / "packed", tmp_path / "train.csv")
