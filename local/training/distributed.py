"""A module to one whose gradients, and perhaps batch norms, are those of all processes."""

from torch import nn
from torch.nn.parallel import DistributedDataParallel


def distributed(module, device, synchronises_batch_norm, find_unused_parameters=False):
    """Wraps a module of one process.

    Arguments
    ---------
    module : torch.nn.Module
    device : str
        That it is on.
    synchronises_batch_norm : bool
        Whether batch norm sees the chunks of all processes.
    find_unused_parameters : bool
        See DistributedDataParallel.
    """
    on_gpu = device.startswith("cuda")
    if synchronises_batch_norm:
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    return DistributedDataParallel(
        module,
        device_ids=[device] if on_gpu else None,
        # On CPUs, this fixes the order in which gradients are summed, which would otherwise
        # change after the first step: a resumed run would differ in the last bits. The price is
        # a warning that there are no unused parameters.
        find_unused_parameters=find_unused_parameters or not on_gpu,
        # Synchronised statistics are equal anyway.
        broadcast_buffers=not synchronises_batch_norm,
        # With very many speakers, their gradients are most of the memory.
        gradient_as_bucket_view=True,
    )
