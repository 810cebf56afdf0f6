"""RepVGG: a VGG whose blocks have three branches in training and one convolution after it."""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from local.models.padding import Padding
from local.models.vgg import vgg_channels

# Of the stages behind the stem; the first block of a stage has its stride.
STAGE_BLOCKS = (3, 4, 23, 3)
STAGE_STRIDES = (1, 2, 2, 2)


class RepBlock(nn.Module):
    """The ReLU of the sum of branches: a 3x3 convolution, a 1x1 convolution, the input itself.

    Each has a batch norm. The input itself takes part where it has the shape of the output.
    """

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.in_channels = in_channels
        self.stride = stride
        self.branches = nn.ModuleList()
        for kernel_size in (3, 1):
            conv_stride = stride if kernel_size == 3 else 1  # see `forward`
            conv = nn.Conv2d(
                in_channels, out_channels, kernel_size, conv_stride, kernel_size // 2, bias=False
            )
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            self.branches.append(nn.Sequential(conv, nn.BatchNorm2d(out_channels)))
        if stride == 1 and in_channels == out_channels:
            self.branches.append(nn.Sequential(nn.Identity(), nn.BatchNorm2d(out_channels)))

    def forward(self, images, padding):
        """(batch, in_channels, frames, rows), Padding or None -> the same, over the stride."""
        first, *others = self.branches
        summed = first(images)
        # Not a stride of the 1x1 convolution: with one, oneDNN writes beyond the end of its memory
        # (https://github.com/uxlfoundation/oneDNN/issues/6035).
        centres = images[:, :, :: self.stride, :: self.stride]
        for branch in others:
            summed = summed + branch(centres)
        if padding is not None:
            padding = padding.halved() if self.stride == 2 else padding
            padding.fill_(summed.transpose(1, 2), 0.0)
        return torch.relu(summed), padding

    @torch.no_grad()
    def fold(self):
        """Puts one 3x3 convolution with a bias in place of the branches.

        It computes what they do in evaluation mode, where batch norms have fixed statistics.
        """
        if len(self.branches) == 1:
            return
        # In float64, so that only the sum is rounded.
        folded = [self._as_convolution(*branch) for branch in self.branches]
        weight, bias = (sum(parts) for parts in zip(*folded, strict=True))
        conv = nn.utils.skip_init(nn.Conv2d, self.in_channels, len(bias), 3, self.stride, 1)
        old = self.branches[0][0].weight
        conv.to(old).requires_grad_(False)
        conv.weight = nn.Parameter(torch.empty_like(old).copy_(weight), requires_grad=False)
        conv.bias.copy_(bias)
        self.branches = nn.ModuleList([conv])

    def _as_convolution(self, layer, norm):
        """float64 weight (out_channels, in_channels, 3, 3) and bias of a branch."""
        if isinstance(layer, nn.Identity):
            weight = torch.empty(self.in_channels, self.in_channels, 3, 3, dtype=torch.double)
            weight = nn.init.dirac_(weight).to(norm.weight.device)
        else:
            weight = layer.weight.double()
        border = (3 - weight.shape[2]) // 2
        weight = nn.functional.pad(weight, [border] * 4)
        values = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        mean, variance, scale, shift = (value.double() for value in values)
        return fuse_conv_bn_weights(weight, None, mean, variance, norm.eps, scale, shift)


class RepVGG(nn.Module):
    """A stem and four stages of blocks with branches (https://arxiv.org/abs/2101.03697).

    A front end: see `VGG`. With a width of 256 it is the tiny RepVGG-A0 of WeSpeaker, with 32, 64,
    128 and 256 channels and 34 convolutions from end to end. `fold` makes them all of it.

    Arguments
    ---------
    width : int
        Channels of the last stage, halved from stage to stage backwards; the stem has as many as
        the first stage.
    num_features : int
        Features a frame.

    Example
    -------
    >>> front_end = RepVGG(width=64).eval()
    >>> features, lengths = torch.rand(2, 347, 80), torch.tensor([347, 97])
    >>> states, num_states = front_end(features, lengths)
    >>> states.shape, num_states.tolist(), front_end.output_size
    (torch.Size([2, 44, 640]), [44, 13], 640)
    >>> folded, _ = front_end.fold()(features, lengths)
    >>> (folded - states).norm() < 1e-5 * states.norm()
    tensor(True)
    """

    def __init__(self, width=256, num_features=80):
        super().__init__()
        channels = vgg_channels(len(STAGE_BLOCKS), width)
        self.blocks = nn.ModuleList([RepBlock(1, channels[0], stride=1)])
        in_channels = channels[0]
        for out_channels, num_blocks, stride in zip(
            channels, STAGE_BLOCKS, STAGE_STRIDES, strict=True
        ):
            for block_stride in [stride] + [1] * (num_blocks - 1):
                self.blocks.append(RepBlock(in_channels, out_channels, block_stride))
                in_channels = out_channels
        self.frames_per_state = 8
        self.output_size = width * -(-num_features // 8)
        # The memory format that convolutions are fastest in.
        self.to(memory_format=torch.channels_last)

    @property
    def context(self):
        """The frames on either side of its first one that a state depends on."""
        context, frames_apart = 0, 1
        for block in self.blocks:
            context += frames_apart
            frames_apart *= block.stride
        return context

    def fold(self):
        """Folds each block, for use after the training: see `RepBlock.fold`. Returns itself."""
        for block in self.blocks:
            block.fold()
        return self

    def forward(self, features, lengths=None):
        """(batch, frames, num_features), (batch,) or None -> states and their numbers: see `VGG`.

        The padding of a batch is kept at zero, as that of the convolutions is.
        """
        images = features.unsqueeze(1)  # (batch, 1, frames, features)
        padding = None if lengths is None else Padding(lengths, images.shape[2])
        for block in self.blocks:
            images, padding = block(images, padding)
        return images.transpose(1, 2).flatten(start_dim=2), padding and padding.lengths
