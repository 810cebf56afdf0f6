import pickle

import numpy as np
import pytest

from local.errors import InputError
from local.features.files import check_features, read_features, write_features


@pytest.fixture
def log_mel():
    """(37, 80), of the size of real ones."""
    return np.random.default_rng(0).uniform(0, 17, (37, 80)).astype(np.float32)


@pytest.mark.parametrize(
    "name, dtype, error",
    [("a.npy", "float32", 0), ("a.npy", "float16", 0.008), ("a.pickle", "", 0)],
)
def test_features_are_read_back(tmp_path, log_mel, name, dtype, error):
    write_features(tmp_path / name, log_mel, dtype)
    assert np.abs(read_features(tmp_path / name) - log_mel).max() <= error
    window = read_features(tmp_path / name, 5, 9)
    assert window.shape == (4, 80) and np.abs(window - log_mel[5:9]).max() <= error
    assert check_features(tmp_path / name, 80, 100).num_samples == 37
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_pickle_is_what_the_original_reads(tmp_path, log_mel):
    write_features(tmp_path / "a.pickle", log_mel)
    with open(tmp_path / "a.pickle", "rb") as file:
        content = pickle.load(file)
    assert content.shape == (80, 37) and np.array_equal(content.T, log_mel)


def test_windows_are_of_their_own_memory(tmp_path, log_mel):
    write_features(tmp_path / "a.npy", log_mel, "float32")
    window = read_features(tmp_path / "a.npy", 0, 3)
    window[:] = 0.0
    assert np.array_equal(read_features(tmp_path / "a.npy", 0, 3), log_mel[:3])


@pytest.mark.parametrize("start, stop", [(30, 38), (40, None), (5, 5)])
def test_frames_that_are_not_there(tmp_path, log_mel, start, stop):
    write_features(tmp_path / "a.npy", log_mel)
    with pytest.raises(InputError, match=f"a.npy: has no frames {start} to {stop}"):
        read_features(tmp_path / "a.npy", start, stop)


def test_another_number_of_mels(tmp_path, log_mel):
    write_features(tmp_path / "a.npy", log_mel[:, :40])
    with pytest.raises(InputError, match="a.npy has 40 features a frame, not num_mels 80"):
        check_features(tmp_path / "a.npy", 80, 100)


@pytest.mark.parametrize(
    "content, message",
    [
        (np.zeros((0, 80)), "has 0 frames"),
        (np.zeros(80), "expected two axes"),
        (np.zeros((3, 80), int), "expected two axes of floating-point"),
        (np.array([[{}]]), "is damaged, or not a .npy file"),
    ],
)
def test_what_is_no_features(tmp_path, content, message):
    np.save(tmp_path / "a.npy", content, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        check_features(tmp_path / "a.npy", 80, 100)


@pytest.mark.parametrize("length", [0, 50, 200])
def test_a_cut_file(tmp_path, log_mel, length):
    path = tmp_path / "a.npy"
    write_features(path, log_mel)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match="a.npy is damaged"):
        check_features(path, 80, 100)


def test_no_file(tmp_path):
    (tmp_path / "b.npy").mkdir()
    with pytest.raises(InputError, match="a.npy can't be read: No such file"):
        check_features(tmp_path / "a.npy", 80, 100)
    with pytest.raises(InputError, match="b.npy can't be read: Is a directory"):
        check_features(tmp_path / "b.npy", 80, 100)
    with pytest.raises(InputError, match="can't be written"):
        write_features(tmp_path / "none" / "a.npy", np.zeros((1, 80)))
