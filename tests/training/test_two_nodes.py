"""Two machines, as two network namespaces that a cable joins: torchrun in each."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from corpora import write_corpus
from runs import Runs

ROOT = Path(__file__).resolve().parents[2]
STEERED = str(ROOT / "tests" / "helpers" / "steered.py")
TORCHRUN = str(Path(sys.executable).with_name("torchrun"))
NAMES = ("speaker_a", "speaker_b")
ADDRESSES = ("10.77.5.1", "10.77.5.2")


def ip(*arguments, check=True):
    subprocess.run(["ip", *arguments], check=check, capture_output=True)


@pytest.fixture
def nodes():
    """The namespaces; skips the test where the machine doesn't let us make them."""
    with contextlib.ExitStack() as stack:
        for name in NAMES:
            stack.callback(ip, "netns", "del", name, check=False)
        try:
            make_nodes()
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"network namespaces can't be made here: {error}")
        yield NAMES


def make_nodes():
    for name in NAMES:
        ip("netns", "add", name)
    ip(
        "link",
        "add",
        NAMES[0],
        "netns",
        NAMES[0],
        "type",
        "veth",
        "peer",
        NAMES[1],
        "netns",
        NAMES[1],
    )
    for name, address in zip(NAMES, ADDRESSES, strict=True):
        for command in (
            ("addr", "add", f"{address}/24", "dev", name),
            ("link", "set", name, "up"),
            ("link", "set", "lo", "up"),
        ):
            ip("-n", name, *command)


def start(runs, name, index, command, **changes):
    """A command that ends in the arguments of training, on one of the nodes."""
    on_node = ["ip", "netns", "exec", NAMES[index], "env", f"GLOO_SOCKET_IFNAME={NAMES[index]}"]
    with open(runs.folder / f"{name}.log", "a") as output:
        return subprocess.Popen(
            [*on_node, *command, STEERED, "{}", *runs.arguments(name, **changes)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def torchrun(index):
    settings = f"is_host={int(index == 0)},last_call_timeout=2"
    settings += ",keep_alive_interval=1,keep_alive_max_attempt=2"
    return [
        *(TORCHRUN, "--nnodes=1:2", "--max_restarts=2", "--nproc_per_node=1"),
        *("--rdzv_backend=c10d", "--rdzv_id=5", f"--rdzv_conf={settings}"),
        *(f"--rdzv_endpoint={ADDRESSES[0]}:29555", f"--local_addr={ADDRESSES[index]}"),
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    corpus = write_corpus(tmp_path_factory.mktemp("corpus"), num_speakers=5)
    return Runs(corpus, tmp_path_factory.mktemp("runs"), batch_size=8)


def test_loss_of_a_machine_is_survived(nodes, runs):
    """Its cable is cut: no connection is closed, and nothing is heard of it any more."""
    name = "lost"
    changes = {"validate_every": 40, "number_of_epochs": 2, "timeout_minutes": 0.1}
    first, second = (start(runs, name, index, torchrun(index), **changes) for index in (0, 1))
    runs.wait_for(name, "Going into epoch 2")
    ip("-n", NAMES[1], "link", "set", NAMES[1], "down")
    assert first.wait(180) == 0, runs.printed(name)
    second.kill()
    subprocess.run(["pkill", "-KILL", "-f", str(runs.folder / name)], check=False)
    second.wait()
    printed = runs.printed(name)
    assert "The connection to another process is lost" in printed
    assert "processes: 1 from now on, 2 before" in printed
    assert len(runs.log(name).splitlines()) == 2
