"""The modules of one process to modules whose gradients are those of all processes."""

import warnings

from torch import nn
from torch.nn.parallel import DistributedDataParallel


def share_gradients(modules, device, synchronises_batch_norm, find_unused_parameters):
    """Wraps those of some modules that are trained, in their place.

    Arguments
    ---------
    modules : torch.nn.ModuleDict
    device : str
        That they are on.
    synchronises_batch_norm : bool
        Whether batch norm sees the chunks of all processes.
    find_unused_parameters : bool
        Of DistributedDataParallel; it always does on CPUs.
    """
    # The gradients of einsum have other strides; copying them costs next to nothing.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    for name, module in modules.items():
        if any(parameter.requires_grad for parameter in module.parameters()):
            modules[name] = _wrapped(
                module, device, synchronises_batch_norm, find_unused_parameters
            )


def _wrapped(module, device, synchronises_batch_norm, find_unused_parameters):
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
