"""Batch norm over the batches of all processes."""

import torch
from torch import distributed, nn
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm


class CpuSyncBatchNorm(_BatchNorm):
    """What torch's SyncBatchNorm does, which only works on GPUs.

    Mean and variance are those of the values of all processes together, and the gradients flow
    back to all of them. Statistics are in float32 at least; the output has the type of the input.
    """

    def forward(self, values):
        """(batch, num_features, ...) -> the same."""
        if not self.training or distributed.get_world_size() == 1:
            return super().forward(values)
        mean, variance, count = _statistics(values.detach())
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        unbiased = variance * count / (count - 1)
        self.running_var.lerp_(unbiased.to(self.running_var), self.momentum)
        return _Normalise.apply(values, self.weight, self.bias, mean, variance, count, self.eps)

    def _check_input_dim(self, values):
        """Any number of axes will do."""


def _statistics(values):
    """Mean and variance of all processes' values, (num_features,) each, and their count."""
    wide = torch.promote_types(values.dtype, torch.float32)
    num_features = values.shape[1]
    unused = torch.zeros(2, num_features, dtype=wide)
    mean, variance = torch.batch_norm_update_stats(values, *unused, 0.0)
    count = torch.full((num_features,), values.numel() / num_features, dtype=wide)
    own = torch.stack([mean, variance, count])
    parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, own)
    means, variances, counts = torch.stack(parts, dim=1)
    count = counts.sum(dim=0)
    mean = (means * counts).sum(dim=0) / count
    # Not the mean of the squares less the squared mean, which would lose digits.
    variance = ((variances + (means - mean) ** 2) * counts).sum(dim=0) / count
    return mean, variance, count


class _Normalise(torch.autograd.Function):
    """Batch norm with given statistics, whose gradients are those of computing them as well."""

    @staticmethod
    def forward(ctx, values, weight, bias, mean, variance, count, eps):
        ctx.save_for_backward(values, weight, mean, variance, count)
        ctx.eps = eps
        return batch_norm(values, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx, grad):
        """Ioffe and Szegedy, 2015 (https://arxiv.org/abs/1502.03167), with sums over all."""
        values, weight, mean, variance, count = ctx.saved_tensors
        _, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grad, values, weight, mean, variance, None, None, False, ctx.eps, [False, True, True]
        )
        sums = torch.stack([grad_weight, grad_bias])
        distributed.all_reduce(sums)
        scale = weight * torch.rsqrt(variance + ctx.eps)
        along_values, along_ones = scale * sums / count
        # Both products as batch norms, which torch has in one pass over any type of values.
        centred = batch_norm(values, mean, variance, along_values, along_ones, False, 0.0, ctx.eps)
        zero, one = torch.zeros_like(scale), torch.full_like(scale, 1.0 - ctx.eps)
        scaled = batch_norm(grad, zero, one, scale, zero, False, 0.0, ctx.eps)
        return scaled - centred, grad_weight, grad_bias, None, None, None, None


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
