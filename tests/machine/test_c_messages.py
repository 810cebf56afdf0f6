import ctypes
import logging
import os
import sys

import pytest

from local.machine import c_messages
from local.machine.c_messages import silenced

library = ctypes.CDLL(None)
pytestmark = pytest.mark.skipif(
    not hasattr(library, "gnu_get_libc_version"), reason="messages are only kept away with glibc"
)


@pytest.fixture(autouse=True)
def nothing_logged(monkeypatch):
    monkeypatch.setattr(c_messages, "_was_logged", False)


def complain(text):
    """Writes to stderr as a C library does."""
    library.perror(text.encode())


def test_what_c_libraries_write_goes_to_the_log_once(capfd, caplog):
    with caplog.at_level(logging.WARNING):
        for path in ("a.mp3", "b.mp3", "c.mp3"):
            with silenced(path):
                complain("bad frame")
    assert "bad frame" not in capfd.readouterr().err
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["a.mp3"]


def test_what_python_writes_meanwhile_is_seen(capfd):
    with silenced("a.mp3"):
        print("progress", file=sys.__stderr__, flush=True)
        os.write(2, b"a traceback\n")
    assert capfd.readouterr().err == "progress\na traceback\n"


def test_outside_of_the_block_they_are_seen(capfd):
    with silenced("a.mp3"), silenced("b.mp3"):
        pass
    complain("seen")
    assert "seen" in capfd.readouterr().err


def test_silence_lasts_while_anyone_asks_for_it(capfd):
    with silenced("a.mp3"):
        with silenced("b.mp3"):
            pass
        complain("not seen")
    assert capfd.readouterr().err == ""


def test_a_forked_process_begins_anew(capfd):
    with silenced("a.mp3"):
        child = os.fork()
        if child == 0:
            complain("from the child")
            os._exit(0)
        os.waitpid(child, 0)
    assert "from the child" in capfd.readouterr().err


def test_errors_of_the_block_are_passed_on(capfd):
    with pytest.raises(KeyError), silenced("a.mp3"):
        raise KeyError
    complain("seen")
    assert "seen" in capfd.readouterr().err
