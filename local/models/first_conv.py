"""The first convolution and its batch norm in one, while training."""

import torch
from torch.nn.functional import conv2d, unfold


def conv_with_batch_norm(images, conv, norm):
    """What `norm(conv(images))` gives while training, without a pass over the convolution's output.

    An output is linear in the patch of the input under the filter, so that the mean and variance
    over the batch follow from those of the patches; of one input channel a patch has only 9
    values, where there are many output channels. The norm becomes a part of filters and bias.

    Arguments
    ---------
    images : torch.Tensor
        (batch, in_channels, height, width).
    conv : torch.nn.Conv2d
        Without bias, stride or dilation.
    norm : torch.nn.BatchNorm2d
        Its running statistics are updated.

    Returns
    -------
    normalised : torch.Tensor
        (batch, out_channels, height, width).

    Example
    -------
    >>> conv, norm = torch.nn.Conv2d(1, 4, 3, padding=1, bias=False), torch.nn.BatchNorm2d(4)
    >>> images = torch.rand(2, 1, 7, 5)
    >>> torch.allclose(conv_with_batch_norm(images, conv, norm), norm(conv(images)), atol=1e-4)
    True
    """
    with torch.autocast(images.device.type, enabled=False):
        mean, variance = _output_statistics(images.to(conv.weight.dtype), conv)
        _update_running_statistics(norm, mean, variance, conv_outputs=images[:, 0].numel())
        factors = norm.weight / (variance + norm.eps).sqrt()
        filters = conv.weight * factors[:, None, None, None]
        bias = norm.bias - mean * factors
    return conv2d(images, filters, bias, padding=conv.padding)


def _output_statistics(images, conv):
    """Mean and (biased) variance of each output channel over the batch: (out_channels,) each."""
    patches = unfold(images, conv.kernel_size, padding=conv.padding)  # (batch, values, places)
    num_patches = patches.shape[0] * patches.shape[2]
    patch_mean = patches.mean(dim=(0, 2))
    second_moments = torch.bmm(patches, patches.transpose(1, 2)).sum(dim=0) / num_patches
    covariance = second_moments - torch.outer(patch_mean, patch_mean)
    filters = conv.weight.flatten(start_dim=1)
    return filters @ patch_mean, ((filters @ covariance) * filters).sum(dim=1)


@torch.no_grad()
def _update_running_statistics(norm, mean, variance, conv_outputs):
    """As torch's batch norm does, with the unbiased variance."""
    norm.num_batches_tracked += 1
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * conv_outputs / (conv_outputs - 1), norm.momentum)
