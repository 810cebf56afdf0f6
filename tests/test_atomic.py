"""Files whole or not at all, and folders with one writer."""

import multiprocessing
import os
import signal

import pytest

from local import atomic
from local.atomic import (
    folder_beside,
    lock_folder,
    locked,
    new_directory,
    remove_locked,
    replacing,
)
from local.errors import InputError


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(lock_folder, "__defaults__", (0.0,))
    monkeypatch.setattr(folder_beside.__wrapped__, "__defaults__", (0.0,))


class Other:
    """A process that locks a folder, and may do more, until it is killed."""

    def __init__(self, function, *arguments):
        context = multiprocessing.get_context("fork")
        self._ready = context.Event()
        self._process = context.Process(target=self._run, args=(function, arguments), daemon=True)
        self._process.start()
        assert self._ready.wait(10)

    def _run(self, function, arguments):
        held = function(*arguments)  # noqa: F841
        self._ready.set()
        signal.pause()

    def kill(self):
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()


def test_one_process_at_a_time_has_a_folder(tmp_path):
    other = Other(lock_folder, tmp_path / "out")
    with pytest.raises(InputError, match="out: another run is writing here"):
        lock_folder(tmp_path / "out")
    other.kill()
    lock_folder(tmp_path / "out")
    lock_folder(tmp_path / "out")  # it has it already
    remove_locked(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_lock_of_a_block_leaves_nothing(tmp_path):
    with locked(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert not list(tmp_path.iterdir())
    Other(lock_folder, tmp_path).kill()
    with locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_its_owner_removes_is_not_shared(tmp_path, monkeypatch):
    """Whoever opened the lock file before gets a lock of a file that is no longer there."""
    folder = tmp_path / "out"
    is_locked, calls = atomic._is_locked, []

    def remove_first(file):
        calls.append(file)
        if len(calls) == 1:
            os.replace(folder, tmp_path / "gone")
        return is_locked(file)

    monkeypatch.setattr(atomic, "_is_locked", remove_first)
    lock_folder(folder, 5.0)
    assert len(calls) == 2 and (folder / ".lock").is_file()


def leave_half(path):
    """Begins to write a file; what is returned keeps it from being finished."""
    writer = replacing(path)
    writer.__enter__().write_text("half")
    return writer


def test_what_a_killed_process_left_is_removed(tmp_path):
    Other(leave_half, tmp_path / "a.txt").kill()
    names = {"a.txt", ".tmp", ".hidden", "b.tmp", ".c.tmp"}
    for name in names:
        (tmp_path / name).write_text("own")
    assert len(list(tmp_path.iterdir())) == len(names) + 1
    with locked(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == names


def begin_directory(path):
    writer = new_directory(path)
    (writer.__enter__() / "half").write_text("half")
    return writer


def test_new_directories(tmp_path):
    other = Other(begin_directory, tmp_path / "new")
    with pytest.raises(InputError, match="another run is writing here"):
        with new_directory(tmp_path / "new"):
            pass
    other.kill()
    assert not (tmp_path / "new").exists()
    with new_directory(tmp_path / "new") as folder:
        assert not list(folder.iterdir())
        (folder / "whole").write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["whole"]


def test_a_directory_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), new_directory(tmp_path / "new") as folder:
        (folder / "half").write_text("half")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_folder_beside_is_emptied(tmp_path):
    left = tmp_path / ".out.tmp" / "left"
    left.mkdir(parents=True)
    (left / "file").write_text("left")
    with folder_beside(tmp_path / "out") as folder:
        assert [path.name for path in folder.iterdir()] == [".lock"]
    assert not list(tmp_path.iterdir())


def test_temporary_files_may_lie_elsewhere(tmp_path):
    (tmp_path / "work").mkdir()
    with replacing(tmp_path / "a.txt", folder=tmp_path / "work") as temporary:
        assert temporary.parent == tmp_path / "work"
        temporary.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole" and not list((tmp_path / "work").iterdir())


def write_whole(path):
    with replacing(path) as temporary:
        temporary.write_text("whole")


@pytest.mark.parametrize("write", [lock_folder, begin_directory, write_whole])
def test_what_cannot_be_written(tmp_path, write):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        write(tmp_path / "file" / "below")
