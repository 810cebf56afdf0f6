"""A function in several processes at once, which form a group."""

import os

import torch
from steered import forkserver, free_port


def together(function, num_processes=2):
    """Calls function(rank) in each process; returns what they return, in order."""
    context = forkserver()
    port = free_port()
    queue = context.SimpleQueue()
    started = [
        context.Process(target=_join, args=(function, rank, num_processes, port, queue))
        for rank in range(num_processes)
    ]
    for process in started:
        process.start()
    results = dict(queue.get() for _ in started)
    for process in started:
        process.join()
    return [results[rank] for rank in range(num_processes)]


def _join(function, rank, num_processes, port, queue):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(num_processes)}
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=num_processes
    )
    try:
        queue.put((rank, function(rank)))
    except Exception as error:
        queue.put((rank, error))
    torch.distributed.destroy_process_group()
