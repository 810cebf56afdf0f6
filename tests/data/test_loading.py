import os
import signal

import pytest
import torch

from local.data.loading import Loader
from local.errors import InputError


class Failing(torch.utils.data.Dataset):
    """Four numbers; reading the third calls `fail`."""

    def __init__(self, fail):
        self.fail = fail

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 2:
            self.fail()
        return index


def batches(num_workers, fail=lambda: None):
    loader = Loader(Failing(fail), lambda items: (torch.tensor(items),), num_workers=num_workers)
    for (batch,) in loader:
        yield batch.item()


def refuse():
    raise InputError("a.wav: can't be read\nSay why.")


def end():
    os.kill(os.getpid(), signal.SIGKILL)


def no_memory(tensor):
    raise RuntimeError("unable to allocate shared memory")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_all_items_come_in_their_order(num_workers):
    assert list(batches(num_workers)) == [0, 1, 2, 3]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_input_error_comes_without_a_traceback(num_workers):
    with pytest.raises(InputError) as caught:
        list(batches(num_workers, refuse))
    assert str(caught.value) == "a.wav: can't be read\nSay why."


def test_too_little_shared_memory_ends_the_loop(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "share_memory_", no_memory)
    with pytest.raises(InputError, match="^/dev/shm: too small for the batches of 1 worker"):
        list(batches(1))


def test_a_worker_that_is_killed_ends_the_loop():
    with pytest.raises(InputError, match="A process that reads audio has ended"):
        list(batches(1, end))
