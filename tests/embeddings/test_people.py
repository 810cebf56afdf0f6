import io
import multiprocessing
import zipfile

import numpy as np
import pytest

from local.embeddings import people as module
from local.embeddings.people import People, changing, nobody, read_people
from local.errors import InputError

MODEL = {"digest": "ab12", "path": "results/mine/model_00000070.pt"}
OTHER = MODEL | {"digest": "cd34"}
ARRAYS = {
    "names": np.array(["anna", "boris", "žluť"]),
    "embeddings": np.array([[1, 2], [3, 4], [5, 6]], np.float32),
    "num_utterances": np.array([3, 1, 2]),
    "model": np.array("ab12"),
}


def saved(path, **changes):
    arrays = ARRAYS | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def drawn(num_utterances, seed=0):
    return np.random.default_rng(seed).standard_normal((num_utterances, 5)).astype(np.float32)


def test_a_mean_is_over_all_utterances_whatever_the_portions(tmp_path):
    names = [f"p{index % 3}" for index in range(11)]
    embeddings = drawn(11)
    path = tmp_path / "people.npz"
    for first, end in ((0, 4), (4, 5), (5, 11)):
        with changing(path, MODEL) as (people, write):
            write(people.extended(names[first:end], embeddings[first:end]))
    people = read_people(path, MODEL)
    assert people.names == ["p0", "p1", "p2"] and people.num_utterances.tolist() == [4, 4, 3]
    expected = [embeddings[start::3].mean(axis=0) for start in range(3)]
    np.testing.assert_allclose(people.embeddings, expected, atol=1e-6)
    assert people.embeddings.dtype == np.float32


def test_others_keep_every_bit():
    people = nobody("ab12").extended(["a", "a", "a", "b"], drawn(4))
    longer = people.extended(["b", "c"], drawn(2, seed=1))
    assert (longer.embeddings[0] == people.embeddings[0]).all()
    assert longer.names == ["a", "b", "c"] and longer.num_utterances.tolist() == [3, 2, 1]


def test_numpy_reads_it(tmp_path):
    path = tmp_path / "new" / "people.npz"
    with changing(path, MODEL) as (people, write):
        write(people.extended(["Åsa Ek", "李"], drawn(2)))
    with np.load(path, allow_pickle=False) as content:
        assert content["names"].tolist() == ["Åsa Ek", "李"]
        assert (content["embeddings"] == drawn(2)).all()
        assert content["num_utterances"].tolist() == [1, 1] and str(content["model"]) == "ab12"
    assert [entry.name for entry in path.parent.iterdir()] == ["people.npz"]


def test_files_that_other_tools_write(tmp_path):
    fortran = np.asfortranarray(ARRAYS["embeddings"].astype(np.float64))
    counts = ARRAYS["num_utterances"].astype(np.int32)
    people = read_people(saved(tmp_path / "p.npz", embeddings=fortran, num_utterances=counts))
    assert people.embeddings.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert people.embeddings.dtype == np.float32 and people.names[2] == "žluť"


def test_removed_people_are_gone_and_unknown_ones_are_named(tmp_path):
    people = read_people(saved(tmp_path / "p.npz"))
    kept = people.without(["boris"])
    assert kept.names == ["anna", "žluť"] and kept.embeddings.tolist() == [[1, 2], [5, 6]]
    assert kept.num_utterances.tolist() == [3, 2] and kept.model == "ab12"
    with pytest.raises(InputError, match=r"no 'borys' among the people \(do you mean boris\?\)"):
        people.without(["anna", "borys"])


def test_the_last_one_may_go_and_others_come(tmp_path):
    path = saved(tmp_path / "p.npz")
    with changing(path) as (people, write):
        write(people.without(people.names))
    assert read_people(path, MODEL).names == []
    with changing(path, MODEL) as (people, write):
        write(people.extended(["carl"], drawn(1)))
    assert read_people(path, MODEL).names == ["carl"]


def test_another_model_is_refused(tmp_path):
    path = saved(tmp_path / "p.npz")
    with pytest.raises(InputError, match="p.npz: has the people of another model than results"):
        read_people(path, OTHER)
    with pytest.raises(InputError, match="of another model"):
        with changing(path, OTHER):
            pytest.fail("it may not be changed")


def test_embeddings_of_another_size_under_the_same_digest(tmp_path):
    people = read_people(saved(tmp_path / "p.npz"), MODEL)
    with pytest.raises(InputError, match="embeddings of 2 values, and the model.* of 5"):
        people.extended(["carl"], drawn(1))


# Several processes


def _enrol(path, barrier, names):
    barrier.wait(20)
    for name in names:
        with changing(path, MODEL) as (people, write):
            write(people.extended([name, "everybody"], drawn(2)))


def test_enrolments_at_once_lose_no_name(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    path, names = tmp_path / "people.npz", [["a", "b"], ["c", "d"], ["e", "f"]]
    started = [context.Process(target=_enrol, args=(path, barrier, own)) for own in names]
    for process in started:
        process.start()
    for process in started:
        process.join(30)
        assert process.exitcode == 0
    people = read_people(path, MODEL)
    assert sorted(people.names) == ["a", "b", "c", "d", "e", "everybody", "f"]
    assert people.num_utterances[people.names.index("everybody")] == 6
    assert [entry.name for entry in tmp_path.iterdir()] == ["people.npz"]


def test_what_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = saved(tmp_path / "p.npz")
    before = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.np, "savez", fail)
    with pytest.raises(InputError, match="p.npz: can't be written .No space left on device"):
        with changing(path, MODEL) as (people, write):
            write(people.without(["anna"]))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.npz"]


# Damaged files


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"names": None}, "names.npy"),
        ({"names": np.array(["anna", "boris", "anna"])}, "a name is there twice"),
        ({"names": np.array(["anna", "boris", ""])}, "or is none"),
        ({"names": np.array(["anna", "boris", "\x1b[2Jcarl"])}, "or is none"),
        ({"names": np.array(["anna", "boris"])}, "don't fit together"),
        ({"names": np.array([b"anna", b"boris", b"carl"])}, "don't fit together"),
        ({"names": np.array(["anna", 1, None], object)}, ""),
        ({"embeddings": np.ones(3, np.float32)}, "don't fit together"),
        ({"embeddings": np.ones((3, 2), int)}, "don't fit together"),
        ({"embeddings": np.array([[1, 2], [np.nan, 4], [5, 6]], "f4")}, "not finite"),
        ({"embeddings": np.array([[1, 2], [0, 0], [5, 6]], "f4")}, "zero or not finite"),
        ({"embeddings": np.array([[1, 2], [1e300, 4], [5, 6]])}, "not finite"),
        ({"num_utterances": np.array([1, 0, 2])}, "somebody has no utterances"),
        ({"num_utterances": np.array([1, 2**63 - 1, 2])}, "or more than anybody has"),
        ({"num_utterances": np.array([1.0, 2.0, 2.0])}, "don't fit together"),
        ({"model": np.array(["ab12"])}, "don't fit together"),
    ],
)
def test_what_is_no_file_of_people_is_refused(tmp_path, changes, message):
    path = saved(tmp_path / "p.npz", **changes)
    with pytest.raises(InputError, match=f"p.npz: is damaged, or no file of people .*{message}"):
        read_people(path)


def test_other_files(tmp_path):
    with pytest.raises(InputError, match="none.npz: there is no such file of people"):
        read_people(tmp_path / "none.npz")
    with pytest.raises(InputError, match="can't be read .Is a directory"):
        read_people(tmp_path)
    whole = saved(tmp_path / "p.npz").read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(ARRAYS["embeddings"].tobytes())] ^= 1
    np.savez_compressed(tmp_path / "c.npz", **ARRAYS)
    compressed = (tmp_path / "c.npz").read_bytes()
    for content in (b"", b"anna", whole[: len(whole) // 2], flipped, compressed):
        (tmp_path / "p.npz").write_bytes(content)
        with pytest.raises(InputError, match="p.npz: is damaged, or no file of people"):
            read_people(tmp_path / "p.npz")
        with pytest.raises(InputError, match="p.npz: is damaged"):
            with changing(tmp_path / "p.npz", MODEL):
                pytest.fail("it may not be replaced")


def test_every_promise_of_size_is_checked(tmp_path):
    """An array whose header says more, or less, than there is."""
    for shape in ("(3, 3)", "(3, 1)", "(99999999999, 2)"):
        file = io.BytesIO()
        np.save(file, ARRAYS["embeddings"])
        content = file.getvalue().replace(
            b"(3, 2), }" + b" " * 11, f"{shape}, }}".ljust(20).encode()
        )
        assert shape.encode() in content and len(content) == len(file.getvalue())
        path = saved(tmp_path / "p.npz", embeddings=None)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("embeddings.npy", content)
        with pytest.raises(InputError, match="is damaged"):
            read_people(path)


def test_people_are_a_tuple_of_the_arrays_of_the_file():
    assert set(People._fields) == set(ARRAYS)
