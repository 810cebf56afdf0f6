import subprocess
import sys

import pytest
import torch

from local.machine import runtime

COUNT_PAGE_FAULTS = """
import resource, numpy as np
from local.machine.runtime import keep_freed_memory
keep_freed_memory()

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(50_000_000).sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(page_faults(), page_faults())
"""


def test_freed_memory_is_used_again(request):
    result = subprocess.run(
        [sys.executable, "-c", COUNT_PAGE_FAULTS],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    first, second = map(int, result.stdout.split())
    # 400 MB are 190 pages of 2 MB, or 98,000 of 4 kB.
    assert first > 150 and second < first / 5


@pytest.mark.parametrize("setting", [0, 3])
def test_given_workers_are_taken(setting):
    assert runtime.num_reading_workers(setting, "cpu", in_memory=True) == setting


def test_workers_are_chosen_by_what_there_is_to_do(monkeypatch):
    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda _: range(4))
    assert runtime.num_reading_workers(None, "cpu") == 0
    assert runtime.num_reading_workers(None, "cuda:1") == 4
    # Cutting chunks would stand in the way of a GPU.
    assert runtime.num_reading_workers(None, "cuda:1", in_memory=True) == 2
    assert runtime.num_reading_workers(None, "cpu", in_memory=True) == 0
    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda _: range(100))
    assert runtime.num_reading_workers(None, "cuda") == runtime.MAX_WORKERS


def test_workers_are_shared_among_the_processes_of_a_machine(monkeypatch):
    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda _: range(16))
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert runtime.num_reading_workers(None, "cuda:1") == 4


def test_float32_of_gpus_is_float32_but_for_tf32(kernels):
    """SpeechBrain and torch would have it otherwise."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    runtime.choose_kernels("bf16", same_shapes=True)
    assert kernels() == (False, False, True)
    with pytest.raises(ZeroDivisionError), runtime.kernels_for_any_shape("tf32"):
        assert kernels() == (False, True, False)
        raise ZeroDivisionError
    assert kernels() == (False, False, True)
    names = [runtime.autocast_name(name) for name in ("fp32", "tf32", "bf16")]
    assert names == ["fp32", "fp32", "bf16"]
