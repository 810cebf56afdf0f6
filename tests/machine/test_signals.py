import os
import signal
import subprocess
import sys

import pytest

from local.machine.signals import STOPPING, Stopped, StopSignals


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", STOPPING)
def test_signals_are_noted_and_handlers_come_back(number, capfd):
    before = [signal.getsignal(stopping) for stopping in STOPPING]
    with StopSignals() as signals:
        assert signals.caught == 0
        send(number)
        assert signals.caught == number
    assert [signal.getsignal(stopping) for stopping in STOPPING] == before
    assert f"{signal.Signals(number).name}: stopping soon" in capfd.readouterr().err


def test_ctrl_c_twice_stops_at_once():
    with StopSignals() as signals:
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
        assert signals.caught == signal.SIGINT


def test_only_the_first_process_speaks(monkeypatch, capfd):
    monkeypatch.setenv("RANK", "1")
    with StopSignals() as signals:
        send(signal.SIGTERM)
        assert signals.caught == signal.SIGTERM
    assert capfd.readouterr().err == ""


def test_child_processes_do_not_stop():
    with StopSignals() as signals:
        child = os.fork()
        if child == 0:
            send(signal.SIGINT)
            send(signal.SIGTERM)
            os._exit(10 + signals.caught)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 10


def test_worker_ignores_them(request):
    code = "import os; from local.machine.signals import STOPPING, ignore_stopping\n"
    code += "ignore_stopping(0)\n"
    code += "for number in STOPPING: os.kill(os.getpid(), number)"
    assert subprocess.run([sys.executable, "-c", code], cwd=request.config.rootpath).returncode == 0


def test_statuses():
    assert Stopped(signal.SIGINT, "").status == 130
    assert Stopped(signal.SIGTERM, "").status == Stopped(signal.SIGUSR1, "").status == 75
