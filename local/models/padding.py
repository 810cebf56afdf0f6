"""The lengths of a batch's utterances to masks: which positions are padding."""

import torch


def beside(values, tensor):
    """Values on the device of a tensor. From the CPU they get to a GPU without waiting for it.

    So lengths stay on the CPU, where they are known: a GPU would be asked for them.
    """
    if values.is_cpu and tensor.is_cuda:
        values = values.pin_memory()  # a copy of it doesn't wait for what the GPU has to do
    return values.to(tensor.device, non_blocking=tensor.is_cuda)


def length_mask(lengths, max_length):
    """True where a position is inside its sequence: (batch,) and an int -> (batch, max_length)."""
    return torch.arange(max_length, device=lengths.device) < lengths[:, None]


class Padding:
    """The padding of a batch, which lies behind the ends of its utterances.

    Only what lies behind the end of the shortest utterance is touched: in a batch of about equal
    lengths that is little, and a pass over all activations takes as long as a convolution.

    Arguments
    ---------
    lengths : torch.Tensor
        (batch,), on the CPU: from a GPU, the least of them would have to be waited for.
    max_length : int
        Of the padded batch.
    shortest : int, optional
        The least of the lengths, if it is known.

    Example
    -------
    >>> Padding(torch.tensor([3, 1]), 4).fill_(torch.ones(2, 4), 0.0)
    tensor([[1., 1., 1., 0.],
            [1., 0., 0., 0.]])
    """

    def __init__(self, lengths, max_length, shortest=None):
        self.lengths = lengths
        self.max_length = max_length
        self.shortest = int(lengths.min()) if shortest is None else shortest
        self.mask = ~length_mask(lengths - self.shortest, max_length - self.shortest)

    def fill_(self, sequences, value):
        """Sets the padding to a value, in place: (batch, max_length, ...) -> the same."""
        tail = sequences[:, self.shortest :]
        self.mask = beside(self.mask, sequences)
        mask = self.mask.view(*self.mask.shape, *[1] * (sequences.ndim - 2))
        tail.masked_fill_(mask, value)
        return sequences

    def halved(self):
        """The padding after a pooling of 2 that rounds up."""
        halves = (self.lengths + 1) // 2, (self.max_length + 1) // 2, (self.shortest + 1) // 2
        return Padding(*halves)
