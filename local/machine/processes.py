"""Values of several processes, which torchrun starts, to values that all of them share."""

import dataclasses
import os
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from local.errors import InputError

# How long the others wait for what the first process does alone, such as examining a large corpus.
PATIENCE = timedelta(hours=2)
_patient_group = None
# For what is known on CPUs: a group on GPUs would wait until they have done what they have to do.
_cpu_group = None


def join_processes(run_opts, timeout_minutes=5.0):
    """Joins the process group, if torchrun started this process.

    NCCL on GPUs, each process with the GPU of its number; gloo on CPUs, or where
    --distributed_backend says so.

    Arguments
    ---------
    run_opts : speechbrain.utils.run_opts.RunOptions
    timeout_minutes : float
        How long a process waits for the others in an exchange before it gives up: one that hangs,
        or whose machine is off, would hold up the others for ever.

    Returns
    -------
    run_opts : speechbrain.utils.run_opts.RunOptions
        With the device and the backend that were taken.

    Raises
    ------
    InputError
        If there are more processes than GPUs, or several that torchrun did not start.
    """
    from speechbrain.utils.distributed import infer_device  # here, as it takes most of a second

    device = run_opts.device or infer_device()
    on_gpus = device.startswith("cuda")
    if "RANK" not in os.environ:
        _refuse_srun_alone()
        if on_gpus:  # else, what names no GPU would take memory of the first one
            torch.cuda.set_device(torch.device(device).index or 0)
        return _with(run_opts, device=device)
    if on_gpus and num_local() > torch.cuda.device_count():
        raise InputError(
            f"{num_local()} processes on a machine of {torch.cuda.device_count()} GPUs: start one "
            "for each GPU (torchrun --nproc_per_node), or compute on CPUs (--device cpu)"
        )
    backend = run_opts.distributed_backend
    if "distributed_backend" not in run_opts.overridden_args:
        backend = "nccl" if on_gpus else "gloo"
    if on_gpus:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    _join(backend, timedelta(minutes=timeout_minutes))
    return _with(run_opts, device=device, distributed_backend=backend)


def _join(backend, timeout):
    """In place of SpeechBrain's ddp_init_group, whose processes wait for each other for 2 hours."""
    global _patient_group, _cpu_group
    distributed.init_process_group(backend, timeout=timeout)
    _patient_group = distributed.new_group(backend="gloo", timeout=PATIENCE)
    if backend != "gloo":
        _cpu_group = distributed.new_group(backend="gloo", timeout=timeout)


def _with(run_opts, **changes):
    overridden = run_opts.overridden_args | changes.keys()
    return dataclasses.replace(run_opts, overridden_args=overridden, **changes)


def leave_processes():
    """Waits for the others, and leaves the group; to be called by all when they are done."""
    wait_for_all()
    if distributed.is_initialized():
        distributed.destroy_process_group()


def wait_for_all():
    """Waits until all processes are here, after work that takes some of them much longer."""
    if num_processes() > 1:
        distributed.barrier(group=_patient_group)


def _refuse_srun_alone():
    num_tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if num_tasks > 1:
        raise InputError(
            f"srun started {num_tasks} processes that don't know of each other: let it start one "
            "torchrun on each machine, as slurm/train.sbatch does"
        )


def rank():
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def num_processes():
    """How many work together, on all machines."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def num_local():
    """How many of them are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def chunks_at_a_time(batch_size, num_parts, synchronised=False):
    """How many of the chunks of an update each process computes at a time, in each of num_parts.

    Raises
    ------
    InputError
        If a batch norm would see only one chunk; `synchronised` ones see those of all processes.
    """
    own_size = -(-batch_size // (num_processes() * num_parts))
    if own_size * (num_processes() if synchronised else 1) < 2:
        raise InputError(
            f"batch_size {batch_size} leaves one chunk for a batch norm, with {num_processes()} "
            f"processes and grad_accumulation_factor {num_parts}: it needs two"
        )
    return own_size


def on_first(function):
    """Calls function() in the first process, and gives its result to all.

    Raises
    ------
    InputError
        In all processes, if the first one raises it.
    """
    result, problem = None, None
    if rank() == 0:
        try:
            result = function()
        except InputError as error:
            problem = str(error)
    if num_processes() > 1:
        shared = [result, problem]
        distributed.broadcast_object_list(shared, src=0, group=_patient_group)
        result, problem = shared
    if problem is not None:
        raise InputError(problem)
    return result


def check_shared(path):
    """Raises an InputError if the first process made a file that this one can't see."""
    if not Path(path).is_file():
        raise InputError(
            f"{path}: not found by process {rank()} on {os.uname().nodename}, but by the first "
            "one: all machines need the same files under the same paths"
        )


def mean(value):
    """The mean of a tensor over all processes; the same in all of them."""
    return _reduced(value, distributed.ReduceOp.SUM) / num_processes()


def highest(number):
    """The highest of a whole number of each process. Doesn't wait for GPUs."""
    return int(_reduced(torch.tensor(number), distributed.ReduceOp.MAX, _cpu_group))


def _reduced(value, operation, group=None):
    if num_processes() > 1:
        value = value.clone()
        distributed.all_reduce(value, operation, group)
    return value


def copy_buffers(module):
    """Gives all processes the buffers of the first one's module: statistics of batch norm."""
    if num_processes() > 1:
        for buffer in module.buffers():
            distributed.broadcast(buffer, src=0)


def gather(item):
    """A list of the items of all processes in the first one; None in the others."""
    if num_processes() == 1:
        return [item]
    items = [None] * num_processes() if rank() == 0 else None
    distributed.gather_object(item, items, group=_cpu_group)
    return items


def shares(costs, num_shares):
    """Divides pieces of work into shares of about equal cost: each goes to the smallest share.

    Returns
    -------
    shares : list of list of int
        Indices into costs, each once, in their order.

    Example
    -------
    >>> shares([5, 4, 3, 2, 2], num_shares=2)
    [[0, 3, 4], [1, 2]]
    """
    found = [[] for _ in range(num_shares)]
    sums = [0.0] * num_shares
    for index, cost in enumerate(costs):
        least = sums.index(min(sums))
        found[least].append(index)
        sums[least] += cost
    return found
