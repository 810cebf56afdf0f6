"""Batch norm over the batches of all processes."""

import torch
from torch import distributed, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm


class CpuSyncBatchNorm(_BatchNorm):
    """What torch's SyncBatchNorm does, which only works on GPUs.

    Mean and variance are those of the values of all processes together, and the gradients flow
    back to all of them. It computes in float32 at least, and returns the type that it is given.
    """

    def forward(self, values):
        """(batch, num_features, ...) -> the same."""
        if not self.training or distributed.get_world_size() == 1:
            return super().forward(values)
        shape = (1, -1) + (1,) * (values.dim() - 2)
        others = [axis for axis in range(values.dim()) if axis != 1]
        wide = values.to(torch.promote_types(values.dtype, torch.float32))
        count = wide.new_full((1,), wide.numel() / wide.shape[1])
        sums, count = all_reduce(torch.cat([wide.sum(others), count])).split([wide.shape[1], 1])
        mean = sums / count
        # A second exchange: the mean of the squares less the squared mean would lose digits.
        centred = wide - mean.view(shape)
        variance = all_reduce(centred.square().sum(others)) / count
        self._update_running(mean.detach(), (variance * count / (count - 1)).detach())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(shape) + self.bias.view(shape)).to(values.dtype)

    def _check_input_dim(self, values):
        """Any number of axes will do."""

    @torch.no_grad()
    def _update_running(self, mean, variance):
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def synchronised(module, device):
    """Replaces the batch norms of a module by synchronised ones, which keep names and values.

    Arguments
    ---------
    module : torch.nn.Module
        Changed in place.
    device : str

    Returns
    -------
    module : torch.nn.Module
    """
    if device.startswith("cuda"):
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    for norm in module.modules():
        if isinstance(norm, _BatchNorm):
            # The same parameters, statistics and settings; only the computation is another.
            norm.__class__ = CpuSyncBatchNorm
    return module
