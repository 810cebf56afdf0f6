"""SpeechBrain's networks as front ends, up to their states: our poolings and embeddings follow.

Each imports what it needs of SpeechBrain when it is made, as that takes most of a second, which
other front ends need not wait for.
"""

import torch
from torch import nn

from local.models.padding import beside
from local.models.vgg import vgg_channels


class LibraryFrontEnd(nn.Module):
    """A network that knows no padding: of a padded batch, each length is computed by itself.

    So the states of an utterance do not depend on its batch. In training, where all chunks of a
    batch are equally long, it costs nothing.

    A subclass has `states` and the attributes `output_size` and `frames_per_state`.
    """

    def states(self, features):
        """(batch, frames, num_features) -> (batch, states, output_size)."""
        raise NotImplementedError

    def forward(self, features, lengths=None):
        """(batch, frames, num_features), (batch,) or None -> states and their numbers: see `VGG`.

        Where an utterance has ended, its states are 0.
        """
        if lengths is None:
            return self.states(features), None
        each = self.frames_per_state
        all_states = features.new_zeros(
            len(features), -(-features.shape[1] // each), self.output_size
        )
        for length in filter(None, lengths.unique().tolist()):
            rows = beside((lengths == length).nonzero()[:, 0], features)
            states = self.states(features[rows, :length])
            all_states[rows, : states.shape[1]] = states.to(all_states.dtype)
        return all_states, -(-lengths // each)


class ResNet34(LibraryFrontEnd):
    """The residual network of SpeechBrain's ResNet, with squeeze and excitation in two stages.

    Arguments
    ---------
    width : int
        Channels of the last stage, halved from stage to stage backwards; 256 is usual.
    num_features : int
        Features a frame.

    Example
    -------
    >>> front_end = ResNet34(width=32)
    >>> front_end(torch.rand(2, 100, 80))[0].shape, front_end.output_size
    (torch.Size([2, 13, 320]), 320)
    """

    def __init__(self, width=256, num_features=80):
        from speechbrain.lobes.models.ResNet import ResNet

        super().__init__()
        network = ResNet(num_features, channels=vgg_channels(4, width), lin_neurons=1)
        self.layers = nn.Sequential(
            *(network.conv1, network.bn1, network.activation1),
            *(network.layer1, network.layer2, network.layer3, network.layer4),
        )
        for layer in self.layers[-3:]:
            layer[0].downsample = without_stride(*layer[0].downsample)
        self.output_size = width * -(-num_features // 8)
        self.frames_per_state = 8
        # The memory format that convolutions are fastest in.
        self.to(memory_format=torch.channels_last)

    def states(self, features):
        return self.layers(features.unsqueeze(1)).transpose(1, 2).flatten(start_dim=2)


class Ecapa(LibraryFrontEnd):
    """ECAPA-TDNN (https://arxiv.org/abs/2005.07143) of SpeechBrain's blocks, up to its pooling.

    Arguments
    ---------
    width : int
        Channels of its blocks, a multiple of 8; a state has three times as many values. 512 and
        1024 are usual.
    num_features : int
        Features a frame.

    Example
    -------
    >>> front_end = Ecapa(width=32)
    >>> front_end(torch.rand(2, 100, 80))[0].shape, front_end.output_size
    (torch.Size([2, 100, 96]), 96)
    """

    def __init__(self, width=512, num_features=80):
        from speechbrain.lobes.models.ECAPA_TDNN import SERes2NetBlock, TDNNBlock

        super().__init__()
        if width < 8 or width % 8:
            raise ValueError(f"width {width} of ecapa is no multiple of 8, its groups of channels")
        self.output_size = 3 * width
        self.frames_per_state = 1
        self.first = TDNNBlock(num_features, width, kernel_size=5, dilation=1)
        self.blocks = nn.ModuleList(
            SERes2NetBlock(width, width, kernel_size=3, dilation=dilation) for dilation in (2, 3, 4)
        )
        self.last = TDNNBlock(3 * width, 3 * width, kernel_size=1, dilation=1)
        pad_with_zeros(self)

    def states(self, features):
        values = self.first(features.transpose(1, 2))  # (batch, width, frames)
        found = []
        for block in self.blocks:
            values = block(values)
            found.append(values)
        return self.last(torch.cat(found, dim=1)).transpose(1, 2)


class XVector(LibraryFrontEnd):
    """The time-delay network of SpeechBrain's Xvector, up to its pooling.

    Arguments
    ---------
    width : int
        Channels of all layers but the last one, which has three times as many; 512 is usual.
    num_features : int
        Features a frame.

    Example
    -------
    >>> front_end = XVector(width=32)
    >>> front_end(torch.rand(2, 100, 80))[0].shape, front_end.output_size
    (torch.Size([2, 100, 96]), 96)
    """

    def __init__(self, width=512, num_features=80):
        from speechbrain.lobes.models.Xvector import Xvector

        super().__init__()
        self.output_size = 3 * width
        self.frames_per_state = 1
        self.context = 7  # (5 - 1) / 2, and for dilations of 2 and 3 as many frames
        channels = [width] * 4 + [self.output_size]
        network = Xvector(tdnn_channels=channels, in_channels=num_features, lin_neurons=1)
        self.layers = nn.Sequential(*network.blocks[:-2])  # without its pooling and linear layer
        pad_with_zeros(self)

    def states(self, features):
        return self.layers(features)


def without_stride(conv, norm):
    """The same as a 1x1 convolution with a stride, and a batch norm.

    With the stride, oneDNN writes beyond the end of its memory when it computes the gradient
    (https://github.com/uxlfoundation/oneDNN/issues/6035).
    """
    stride, conv.stride = conv.stride, (1, 1)
    return nn.Sequential(nn.AvgPool2d(1, stride), conv, norm)


def pad_with_zeros(network):
    """Has SpeechBrain's convolutions pad with zeros, as all other front ends do.

    They would reflect the signal at its ends, which fails for less than five frames.
    """
    from speechbrain.nnet.CNN import Conv1d

    for module in network.modules():
        if isinstance(module, Conv1d):
            module.padding_mode = "constant"
