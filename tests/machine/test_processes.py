import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from speechbrain.utils.run_opts import RunOptions
from together import together

from local.errors import InputError
from local.machine import processes
from local.models.embedding import EmbeddingHead
from local.models.vgg import VGG
from local.training.sync_norm import synchronised


def refuse_in_first():
    raise InputError("labels.txt:2: wrong")


def exchange(rank):
    processes.check_shared(__file__)
    rows = torch.full((2 - rank, 3), float(rank + 1))
    matrix = processes.gather_rows([2, 0][: 2 - rank] if rank == 0 else [1], rows, 3, "cpu")
    return {
        "rank": processes.rank(),
        "mean": processes.mean(torch.tensor(float(rank))).item(),
        "total": processes.total(10 + rank, "cpu"),
        "highest": processes.highest(rank, "cpu"),
        "first": processes.on_first(lambda: f"from {rank}"),
        "gathered": processes.gather(rank),
        "matrix": matrix if matrix is None else matrix.tolist(),
    }


def test_what_processes_exchange():
    first, second = together(exchange)
    shared = {"mean": 0.5, "total": 21, "highest": 1, "first": "from 0"}
    matrix = [[1.0] * 3, [2.0] * 3, [1.0] * 3]
    assert first == shared | {"rank": 0, "gathered": [0, 1], "matrix": matrix}
    assert second == shared | {"rank": 1, "gathered": None, "matrix": None}


def gather_from_one(rank):
    rows = torch.ones(2, 3) if rank == 1 else torch.empty(0, 0)
    matrix = processes.gather_rows([0, 1] if rank == 1 else [], rows, 2, "cpu")
    return matrix if matrix is None else matrix.tolist()


def test_process_without_a_share():
    assert together(gather_from_one) == [[[1.0] * 3] * 2, None]


def fail_in_first(rank):
    del rank
    processes.on_first(refuse_in_first)


def test_failure_of_the_first_process_is_one_of_all():
    errors = together(fail_in_first)
    assert [type(error) for error in errors] == [InputError] * 2
    assert {str(error) for error in errors} == {"labels.txt:2: wrong"}


def test_one_process_by_itself():
    assert processes.rank() == 0 and processes.num_processes() == 1
    assert processes.mean(torch.tensor(3.0)) == 3.0 and processes.highest(4, "cpu") == 4
    assert processes.gather("x") == ["x"] and processes.on_first(lambda: 5) == 5
    rows = torch.eye(2)
    assert torch.equal(processes.gather_rows([1, 0], rows, 2, "cpu"), rows.flip(0))


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
    monkeypatch.setattr(processes.sb_distributed, "ddp_init_group", lambda _: None)
    run_opts = processes.join_processes(RunOptions.from_dictionary({"device": "cuda"}))
    assert run_opts.device == "cuda:2" and run_opts.distributed_backend == "nccl"
    assert {"device", "distributed_backend"} <= run_opts.overridden_args


def test_srun_without_torchrun(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(InputError, match="srun started 4 processes"):
        processes.join_processes(RunOptions())
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert processes.join_processes(RunOptions.from_dictionary({"device": "cpu"})).device == "cpu"


# Batch norm over all processes, beside torch's over the whole batch.


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.front_end = VGG([4, 8], 16, batch_norm=True)
        self.head = EmbeddingHead(self.front_end.output_size, 5)

    def forward(self, features):
        states, _ = self.front_end(features)
        return self.head(states.mean(dim=1))


def train_step(network, features, weights):
    """Gradients and statistics after a backward pass."""
    (network(features) * weights).sum().backward()
    grads = {name: parameter.grad for name, parameter in network.named_parameters()}
    return grads, dict(network.named_buffers())


def make_data():
    torch.manual_seed(2)
    return 3.0 + 2.0 * torch.randn(8, 32, 16), torch.randn(8, 5)


def half_of_it(rank):
    features, weights = make_data()
    network = synchronised(Network(), "cpu")
    half = slice(6) if rank == 0 else slice(6, 8)
    grads, buffers = train_step(network, features[half], weights[half])
    for grad in grads.values():
        torch.distributed.all_reduce(grad)
    return [{name: item.tolist() for name, item in found.items()} for found in (grads, buffers)]


def test_synchronised_batch_norm_is_that_of_the_whole_batch():
    torch.set_num_threads(1)
    expected_grads, expected_buffers = train_step(Network(), *make_data())
    for grads, buffers in together(half_of_it):
        assert grads.keys() == expected_grads.keys()
        for name, expected in expected_grads.items():
            torch.testing.assert_close(torch.tensor(grads[name]), expected, rtol=1e-3, atol=1e-4)
        for name, expected in expected_buffers.items():
            torch.testing.assert_close(torch.tensor(buffers[name]), expected, rtol=1e-5, atol=1e-6)


def types_and_statistics(rank):
    norm = synchronised(torch.nn.BatchNorm1d(3), "cpu")
    values = torch.full((2, 3), 10.0 + rank, dtype=torch.bfloat16)
    trained = norm(values)
    evaluated = norm.eval()(values.float())
    return trained.dtype, trained.float().tolist(), evaluated.tolist(), norm.running_mean.tolist()


def test_synchronised_batch_norm_keeps_types_and_evaluates():
    (dtype, low, _, mean), (_, high, evaluated, _) = together(types_and_statistics)
    assert dtype == torch.bfloat16
    # Means of 10 and 11: variance 1/4 over four values, 1/3 without bias.
    assert low[0][0] == pytest.approx(-1.0, abs=0.01) and high[0][0] == pytest.approx(1, abs=0.01)
    assert mean == pytest.approx([1.05] * 3)
    variance = 0.9 + 0.1 / 3
    assert evaluated[0][0] == pytest.approx((11 - 1.05) / variance**0.5, rel=1e-3)
