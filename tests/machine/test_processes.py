from datetime import timedelta

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from speechbrain.utils.run_opts import RunOptions
from together import together

from local.errors import InputError
from local.machine import processes
from local.machine import rows as rows_module
from local.machine.rows import gather_rows


def refuse_in_first():
    raise InputError("labels.txt:2: wrong")


def exchange(rank):
    processes.check_shared(__file__)
    rows = torch.full((2 - rank, 3), float(rank + 1))
    matrix = gather_rows([2, 0][: 2 - rank] if rank == 0 else [1], rows, 3, "cpu")
    return {
        "rank": processes.rank(),
        "mean": processes.mean(torch.tensor(float(rank))).item(),
        "highest": processes.highest(rank),
        "first": processes.on_first(lambda: f"from {rank}"),
        "gathered": processes.gather(rank),
        "matrix": matrix if matrix is None else matrix.tolist(),
    }


def test_what_processes_exchange():
    first, second = together(exchange)
    shared = {"mean": 0.5, "highest": 1, "first": "from 0"}
    matrix = [[1.0] * 3, [2.0] * 3, [1.0] * 3]
    assert first == shared | {"rank": 0, "gathered": [0, 1], "matrix": matrix}
    assert second == shared | {"rank": 1, "gathered": None, "matrix": None}


def gather_from_one(rank):
    rows = torch.ones(2, 3) if rank == 1 else torch.empty(0, 0)
    matrix = gather_rows([0, 1] if rank == 1 else [], rows, 2, "cpu")
    return matrix if matrix is None else matrix.tolist()


def test_process_without_a_share():
    assert together(gather_from_one) == [[[1.0] * 3] * 2, None]


def gather_in_blocks(rank):
    rows_module.BLOCK_BYTES = 4 * 3 * 2  # two rows
    indices = [[4, 0], [2, 6, 1, 5, 3]][rank]
    rows = torch.tensor(indices)[:, None] * torch.ones(3)
    sent, send = [], torch.distributed.send
    torch.distributed.send = lambda block, dst: (sent.append(len(block)), send(block, dst))
    matrix = gather_rows(indices, rows, 7, "cpu")
    return sent if matrix is None else matrix.tolist()


def test_rows_are_sent_in_blocks():
    assert together(gather_in_blocks) == [[[float(row)] * 3 for row in range(7)], [2, 2, 1]]


def fail_in_first(rank):
    del rank
    processes.on_first(refuse_in_first)


def test_failure_of_the_first_process_is_one_of_all():
    errors = together(fail_in_first)
    assert [type(error) for error in errors] == [InputError] * 2
    assert {str(error) for error in errors} == {"labels.txt:2: wrong"}


def test_one_process_by_itself():
    assert processes.rank() == 0 and processes.num_processes() == 1
    assert processes.mean(torch.tensor(3.0)) == 3.0 and processes.highest(4) == 4
    assert processes.gather("x") == ["x"] and processes.on_first(lambda: 5) == 5
    rows = torch.eye(2)
    assert torch.equal(gather_rows([1, 0], rows, 2, "cpu"), rows.flip(0))


def test_file_that_only_the_first_process_sees(tmp_path):
    with pytest.raises(InputError, match=r"gone.csv: not found by process 0 on \S+, but by"):
        processes.check_shared(tmp_path / "gone.csv")


@given(st.lists(st.floats(0.1, 100.0), max_size=40), st.integers(1, 5))
def test_shares_are_even(costs, num_shares):
    shares = processes.shares(costs, num_shares)
    assert sorted(sum(shares, [])) == list(range(len(costs))) and len(shares) == num_shares
    sums = [sum(costs[index] for index in share) for share in shares]
    # Whoever has most had least before the last piece.
    assert max(sums) <= sum(costs) / num_shares + max(costs, default=0.0) + 1e-9


def test_more_processes_than_gpus(monkeypatch):
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match="4 processes on a machine of 2 GPUs"):
        processes.join_processes(RunOptions.from_dictionary({"device": "cuda"}))


def test_each_process_has_the_gpu_of_its_number(monkeypatch):
    for name, value in {"RANK": "6", "LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    joined = []
    monkeypatch.setattr(processes, "_join", lambda *arguments: joined.append(arguments))
    monkeypatch.setattr(torch.cuda, "set_device", joined.append)
    options = RunOptions.from_dictionary({"device": "cuda"})
    run_opts = processes.join_processes(options, timeout_minutes=2)
    assert joined == ["cuda:2", ("nccl", timedelta(minutes=2))]
    assert run_opts.device == "cuda:2" and run_opts.distributed_backend == "nccl"
    assert {"device", "distributed_backend"} <= run_opts.overridden_args


@pytest.mark.parametrize("device, number", [("cuda:1", 1), ("cuda", 0), ("cpu", None)])
def test_one_process_has_the_gpu_of_its_device(monkeypatch, device, number):
    monkeypatch.delenv("RANK", raising=False)
    taken = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    run_opts = processes.join_processes(RunOptions.from_dictionary({"device": device}))
    assert run_opts.device == device and taken == ([] if number is None else [number])


def test_what_cpus_know_does_not_go_over_gpus(monkeypatch):
    groups = []
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend, timeout: None)
    monkeypatch.setattr(torch.distributed, "new_group", lambda **group: groups.append(group))
    monkeypatch.setattr(processes, "_cpu_group", None)
    monkeypatch.setattr(processes, "_patient_group", None)
    processes._join("nccl", timedelta(minutes=3))
    patient, quick = groups
    assert patient == {"backend": "gloo", "timeout": processes.PATIENCE}
    assert quick == {"backend": "gloo", "timeout": timedelta(minutes=3)}


def test_srun_without_torchrun(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(InputError, match="srun started 4 processes"):
        processes.join_processes(RunOptions())
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert processes.join_processes(RunOptions.from_dictionary({"device": "cpu"})).device == "cpu"
