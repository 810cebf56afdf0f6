"""VGG front ends: log-mel features to a sequence of states."""

import torch
from torch import nn

from local.models.padding import Padding

# After ten a state stands for ten seconds.
MAX_BLOCKS = 10


def vgg_channels(num_blocks, width):
    """Channels of each block, doubled from block to block up to `width`.

    Example
    -------
    >>> vgg_channels(num_blocks=4, width=1024)  # VGG4L
    [128, 256, 512, 1024]
    >>> vgg_channels(num_blocks=3, width=1024)  # VGG3L
    [256, 512, 1024]
    """
    if num_blocks not in range(1, MAX_BLOCKS + 1):
        raise ValueError(f"num_blocks is a whole number from 1 to {MAX_BLOCKS}, not {num_blocks!r}")
    smallest, rest = divmod(width, 2 ** (num_blocks - 1))
    if rest or smallest < 1:
        raise ValueError(
            f"width {width} can't be halved {num_blocks - 1} times for {num_blocks} blocks: "
            f"take a multiple of {2 ** (num_blocks - 1)}"
        )
    return [smallest * 2**block for block in range(num_blocks)]


class Block(nn.Module):
    """3x3 convolutions with ReLU and optional batch norm, and a 2x2 max-pool that rounds up.

    The last convolution is pooled before batch norm and ReLU, which then see a quarter of the
    values; without batch norm it is the same function, as ReLU and maximum commute.

    The padding of a batch is kept at zero, as that of the convolutions is: they compute for each
    utterance of a batch what they would compute for that utterance alone.
    """

    def __init__(self, in_channels, out_channels, batch_norm):
        super().__init__()
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleList()
        for _ in range(2):
            conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=not batch_norm)
            self.convs.append(conv)
            self.norms.append(nn.BatchNorm2d(out_channels) if batch_norm else nn.Identity())
            in_channels = out_channels

    def forward(self, images, padding):
        """(batch, in_channels, frames, rows), Padding or None -> the same, halved."""
        last = len(self.convs) - 1
        for place, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            images = conv(images)
            if place == last:
                images, padding = self._pool(images, padding)
            # The ReLU is not in place, which takes longer in bf16 on a CPU.
            images = torch.relu(_fill_padding_(norm(images), padding, 0.0))
        return images, padding

    def _pool(self, images, padding):
        images = _fill_padding_(images, padding, float("-inf"))
        images = nn.functional.max_pool2d(images, 2, ceil_mode=True)
        padding = padding and padding.halved()
        # The padding is minus infinity now, which no gradient can pass; without gradients, it may
        # stay until the block is done.
        return _fill_padding_(images, padding if torch.is_grad_enabled() else None, 0.0), padding


def _fill_padding_(images, padding, value):
    """Sets the frames behind the ends, in place: (batch, channels, frames, rows)."""
    if padding is not None:
        padding.fill_(images.transpose(1, 2), value)
    return images


class VGG(nn.Module):
    """Blocks of two 3x3 convolutions with ReLU and a 2x2 max-pool that rounds up.

    The front end of "Double Multi-Head Attention for Speaker Verification"
    (https://arxiv.org/abs/2007.13199). A front end is anything that maps
    (batch, frames, features) and lengths to (batch, states, values) and lengths, and says by
    `output_size` how many values.

    Arguments
    ---------
    channels : list of int
        Of each block; see `vgg_channels`.
    num_features : int
        Features a frame.
    batch_norm : bool
        With each convolution; the original has none.
    channels_last : bool
        Keeps the weights in the memory format that convolutions are fastest in.

    Example
    -------
    >>> front_end = VGG(vgg_channels(num_blocks=4, width=64))
    >>> states, num_states = front_end(torch.rand(2, 347, 80), torch.tensor([347, 97]))
    >>> states.shape, num_states.tolist(), front_end.output_size
    (torch.Size([2, 22, 320]), [22, 7], 320)
    """

    def __init__(self, channels, num_features=80, batch_norm=False, channels_last=True):
        super().__init__()
        if not 1 <= len(channels) <= MAX_BLOCKS:
            raise ValueError(f"channels are those of 1 to {MAX_BLOCKS} blocks, not {len(channels)}")
        self.blocks = nn.ModuleList()
        in_channels = 1
        rows = num_features
        for out_channels in channels:
            self.blocks.append(Block(in_channels, out_channels, batch_norm))
            in_channels = out_channels
            rows = (rows + 1) // 2
        self.output_size = in_channels * rows
        self.frames_per_state = 2 ** len(channels)
        if channels_last:
            self.to(memory_format=torch.channels_last)

    @property
    def context(self):
        """The frames on either side of its own that a state depends on.

        A convolution sees one place on each side, which stands for twice as many frames in each
        block as in the one before.
        """
        return sum(len(block.convs) * 2**place for place, block in enumerate(self.blocks))

    def forward(self, features, lengths=None):
        """Computes the states.

        Arguments
        ---------
        features : torch.Tensor
            (batch, frames, num_features).
        lengths : torch.Tensor, optional
            (batch,) frames of each utterance; None where all fill the batch.

        Returns
        -------
        states : torch.Tensor
            (batch, states, output_size), the values of a state channel by channel over the rows
            that are left of the feature axis.
        num_states : torch.Tensor or None
            (batch,) states of each utterance.
        """
        images = features.unsqueeze(1)  # (batch, 1, frames, features)
        padding = None if lengths is None else Padding(lengths, images.shape[2])
        for block in self.blocks:
            images, padding = block(images, padding)
        return images.transpose(1, 2).flatten(start_dim=2), padding and padding.lengths
