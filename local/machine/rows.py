"""Rows of a matrix, which several processes computed, to the matrix in the first of them."""

import torch
from torch import distributed

from local.machine import processes

# What a process sends at once.
BLOCK_BYTES = 1 << 26


def gather_rows(indices, rows, num_rows, device):
    """Puts together a matrix of which each process has some rows, and sends them in blocks.

    Arguments
    ---------
    indices : list of int
        Where the rows of this process belong.
    rows : torch.Tensor
        (len(indices), num_values), on the CPU; of a process without rows, (0, 0).
    num_rows : int
        Of the whole matrix; each is in one process.
    device : str
        That the processes exchange tensors on.

    Returns
    -------
    matrix : torch.Tensor or None
        (num_rows, num_values) on the CPU, in the first process; None in the others.
    """
    num_values = processes.highest(rows.shape[1])
    block_size = max(1, BLOCK_BYTES // (4 * max(1, num_values)))
    if processes.num_processes() > 1 and distributed.get_backend() == "gloo":
        device = "cpu"  # gloo sends nothing else
    shares = processes.gather(indices)
    if shares is None:
        for block in rows.split(block_size) if indices else ():
            distributed.send(block.to(device, torch.float32).contiguous(), dst=0)
        return None
    matrix = torch.empty(num_rows, num_values, dtype=torch.float32)
    if indices:
        matrix[indices] = rows
    for sender, share in enumerate(shares[1:], 1):
        for first in range(0, len(share), block_size):
            part = share[first : first + block_size]
            block = torch.empty(len(part), num_values, dtype=torch.float32, device=device)
            distributed.recv(block, src=sender)
            matrix[part] = block.cpu()
    return matrix
