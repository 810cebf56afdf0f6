"""A training that runs out of memory: what it says, and that what it says works."""

import pytest
import torch
from corpora import write_corpus
from runs import Runs

from local.errors import InputError
from local.machine.memory import what_was_tried
from local.training.out_of_memory import explained, training_advice

CUDA = (
    "CUDA out of memory. Tried to allocate 5.42 GiB. GPU 0 has a total capacity of 23.64 GiB of "
    "which 1.13 GiB is free. Including non-PyTorch memory, this process has 22.5 GiB memory in "
    "use. Of the allocated memory 21.9 GiB is allocated by PyTorch."
)


def test_errors_of_allocators_are_told_from_others():
    expected = "tried to allocate 5.42 GiB; GPU 0 has a total capacity of 23.64 GiB"
    assert what_was_tried(torch.OutOfMemoryError(CUDA)) == expected
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert what_was_tried(caught.value) == "tried to allocate 1.15e+09 GB"
    assert "CUBLAS" in what_was_tried(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"))
    assert what_was_tried(MemoryError()) == "the system gives no more"
    for error in (RuntimeError("shapes differ"), ValueError("tried to allocate 3 GB")):
        assert what_was_tried(error) is None
        with pytest.raises(type(error), match=str(error)), explained(lambda: "advice"):
            raise error


def test_an_update_that_cannot_be_divided_needs_something_else():
    advice = training_advice(12, num_parts=4)
    assert "--grad_accumulation_factor 8 makes that 2," in advice
    assert "An update is of 16, before 12, chunks" in advice
    assert "--grad_accumulation_factor" not in training_advice(8, num_parts=4)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return Runs(write_corpus(folder / "corpus"), folder, grad_accumulation_factor=1)


def test_the_advice_works(runs):
    assert runs.train("run", "step", 8, "exceed") == 1
    printed = runs.printed("run")
    assert "Traceback" not in printed
    assert "Out of memory: tried to allocate 1.15e+09 GB.\n4 chunks were computed at a " in printed
    assert "--grad_accumulation_factor 2 makes that 2," in printed
    assert runs.train("run", grad_accumulation_factor=2) == 0
    assert "Going on after 6 updates" in runs.printed("run")


def test_a_validation_needs_smaller_batches(runs):
    assert runs.train("validation", "validation", 1, "exceed") == 1
    printed = runs.printed("validation")
    assert "Traceback" not in printed and "--grad_accumulation_factor" not in printed
    assert '--valid_loader "{batch_seconds: 30}"' in printed


def test_what_was_tried_and_the_advice_are_one_message():
    message = "^Out of memory: tried to allocate .*\nadvice$"
    with pytest.raises(InputError, match=message), explained(lambda: "advice"):
        torch.empty(2**60, dtype=torch.uint8)
