import csv

import kaldiio
import numpy as np
import pytest

from local.embeddings.files import (
    Out,
    check_ids,
    split_format,
    write_alignments,
    write_embeddings,
)
from local.errors import InputError

IDS = ["anna/1", "b.2", "žluť", 'a,"b']


@pytest.fixture
def embeddings():
    return np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)


def test_npz(tmp_path, embeddings):
    (path,) = write_embeddings(Out(tmp_path / "e"), "npz", IDS, embeddings)
    with np.load(path) as content:
        assert content["ids"].tolist() == IDS
        assert np.array_equal(content["embeddings"], embeddings)


def test_npy(tmp_path, embeddings):
    paths = write_embeddings(Out(tmp_path / "e.v1"), "npy", IDS, embeddings)
    assert [path.name for path in paths] == ["e.v1.npy", "e.v1.ids.txt"]
    assert np.array_equal(np.load(paths[0]), embeddings)
    assert paths[1].read_text(encoding="utf-8").splitlines() == IDS


def test_kaldi_reads_it_from_any_directory(tmp_path, embeddings, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    _, scp = write_embeddings(
        Out((tmp_path / "out" / "e").relative_to(tmp_path)), "ark", IDS, embeddings
    )
    monkeypatch.chdir("/")
    read = dict(kaldiio.load_scp(str(tmp_path / scp)).items())
    assert list(read) == IDS
    assert np.array_equal(np.stack(list(read.values())), embeddings)
    in_order = list(kaldiio.load_ark(str(tmp_path / "out" / "e.ark")))
    assert [identity for identity, _ in in_order] == IDS and in_order[0][1].dtype == np.float32


def test_csv(tmp_path, embeddings):
    (path,) = write_embeddings(Out(tmp_path / "e"), "csv", IDS, embeddings)
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "e0", "e1", "e2", "e3", "e4"]
    assert [row[0] for row in rows] == IDS
    values = np.array([row[1:] for row in rows], dtype=np.float32)
    assert np.allclose(values, embeddings, rtol=1e-6, atol=0)


@pytest.mark.parametrize("file_format", ["npz", "ark"])
def test_alignments(tmp_path, file_format):
    ids = ["file", "a/b"]
    alignments = [np.full((2, 3), 0.5, np.float32), np.full((7, 3), 1 / 7, np.float32)]
    paths = write_alignments(Out(tmp_path / "e.alignment"), file_format, ids, alignments)
    if file_format == "npz":
        read = np.load(paths[0])
    else:
        read = dict(kaldiio.load_scp(str(paths[1])).items())
    assert list(read) == ids
    for identity, alignment in zip(ids, alignments, strict=True):
        assert np.array_equal(read[identity], alignment)


def test_the_extension_is_a_format():
    assert split_format("x/e.csv") == (split_format("x/e")[0], "csv")
    assert split_format("x/e", "npy")[1] == "npy"
    assert split_format("e.csv", "ark")[0].name == "e.csv"
    with pytest.raises(InputError, match="format is one of npz, npy, ark, csv, not 'hdf5'"):
        split_format("e", "hdf5")


def test_blanks_in_kaldi_ids():
    check_ids(["a b"], "npz")
    with pytest.raises(InputError, match="'a b': an ID in Kaldi's files can't hold blanks"):
        check_ids(["a", "a b"], "ark")


@pytest.mark.parametrize("file_format", ["npz", "npy", "ark", "csv"])
def test_what_cannot_be_written(tmp_path, embeddings, file_format):
    with pytest.raises(InputError, match="can't be written"):
        write_embeddings(Out(tmp_path / "none" / "e"), file_format, IDS, embeddings)
