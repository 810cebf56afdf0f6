import os
import pickle
import pickletools

import numpy as np
import pytest

from local.errors import InputError
from local.features.safe_pickle import load_array


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_protocol(tmp_path, protocol, dtype, order):
    array = np.asarray(np.random.default_rng(0).normal(size=(80, 7)), dtype=dtype, order=order)
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(array, protocol))
    assert np.array_equal(load_array(tmp_path / "a.pickle"), array)


@pytest.mark.parametrize("inner", ["numpy.core", "numpy._core"])
def test_arrays_of_older_and_newer_numpy(tmp_path, inner):
    array = np.arange(6.0).reshape(2, 3)
    content = pickle.dumps(array, protocol=0).replace(b"numpy._core", inner.encode())
    assert inner.encode() in content
    (tmp_path / "a.pickle").write_bytes(content)
    assert np.array_equal(load_array(tmp_path / "a.pickle"), array)


class Malice:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_program_is_not_run(tmp_path, protocol, hidden):
    malice = Malice(os.mkdir, str(tmp_path / "executed"))
    content = np.array([malice], dtype=object) if hidden else malice
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(InputError, match="a.pickle holds .*only an array of floating-point"):
        load_array(tmp_path / "a.pickle")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("function", [eval, np.load, np.dtype, getattr])
def test_other_functions_are_refused_by_name(tmp_path, function):
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(Malice(function, "1"), 2))
    with pytest.raises(InputError, match="numbers of type|" + function.__name__):
        load_array(tmp_path / "a.pickle")


@pytest.mark.parametrize(
    "content", [3, [1.0], {"a": 1}, "text", np.arange(3), np.array("a"), np.float32(1)]
)
def test_anything_but_an_array_of_floats_is_refused(tmp_path, content):
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match="floating-point numbers"):
        load_array(tmp_path / "a.pickle")


def test_a_damaged_or_missing_pickle(tmp_path):
    whole = pickle.dumps(np.ones((80, 100)))
    for length in (0, 1, 50, len(whole) - 10):
        (tmp_path / "a.pickle").write_bytes(whole[:length])
        with pytest.raises(InputError, match="a.pickle is damaged"):
            load_array(tmp_path / "a.pickle")
    with pytest.raises(InputError, match="none.pickle can't be read: No such file"):
        load_array(tmp_path / "none.pickle")


def test_bytes_of_another_size_are_refused(tmp_path):
    content = pickletools.optimize(pickle.dumps(np.ones(4), 2)).replace(b"K\x04\x85", b"K\x05\x85")
    (tmp_path / "a.pickle").write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        load_array(tmp_path / "a.pickle")
