"""Poolings: a sequence of states to one vector.

Each maps (batch, states, values) and the number of states of each utterance, (batch,) or None,
to (batch, output_size). The padding behind an utterance's last state changes nothing.
"""

import math

import torch
from torch import nn

from local.models.padding import beside, length_mask

# Under the square root of a deviation: its gradient is finite where all states are equal.
MIN_VARIANCE = 1e-5


class TemporalAverage(nn.Module):
    """Mean of the states.

    Example
    -------
    >>> pooling = TemporalAverage(320)
    >>> pooling(torch.rand(2, 22, 320)).shape
    torch.Size([2, 320])
    """

    def __init__(self, input_size):
        super().__init__()
        self.output_size = input_size

    def forward(self, states, lengths=None):
        return masked_mean(states, state_mask(states, lengths)).squeeze(1)


class Statistics(nn.Module):
    """Mean and standard deviation of the states (http://arxiv.org/abs/1803.09153).

    SpeechBrain's StatisticsPooling adds noise, in evaluation too.

    Example
    -------
    >>> pooling = Statistics(320)
    >>> pooling(torch.rand(2, 22, 320)).shape
    torch.Size([2, 640])
    """

    def __init__(self, input_size):
        super().__init__()
        self.output_size = 2 * input_size

    def forward(self, states, lengths=None):
        mask = state_mask(states, lengths)
        mean = masked_mean(states, mask)
        variance = masked_mean((states - mean).square(), mask)
        deviation = variance.clamp(min=MIN_VARIANCE).sqrt()
        return torch.cat([mean, deviation], dim=2).squeeze(1)


class AttentiveStatistics(nn.Module):
    """Mean and deviation weighted by an attention for each value: SpeechBrain's ECAPA pooling.

    Example
    -------
    >>> AttentiveStatistics(320)(torch.rand(2, 22, 320)).shape
    torch.Size([2, 640])
    """

    def __init__(self, input_size, attention_size=128):
        from speechbrain.lobes.models.ECAPA_TDNN import AttentiveStatisticsPooling  # takes a second

        super().__init__()
        self.output_size = 2 * input_size
        self.pooling = AttentiveStatisticsPooling(input_size, attention_size)

    def forward(self, states, lengths=None):
        relative = None
        if lengths is not None:
            # SpeechBrain multiplies this by the number of states and keeps the states whose index
            # is smaller. Half a state less keeps the same ones, however the product is rounded.
            relative = (beside(lengths, states) - 0.5) / states.shape[1]
        return self.pooling(states.transpose(1, 2), relative).squeeze(2)

    def alignment(self, states, lengths=None):
        """The weights of the states, which sum to 1 for each value: (batch, states, values)."""
        scores = []
        hook = self.pooling.conv.register_forward_hook(lambda *call: scores.append(call[-1]))
        with hook:
            self.forward(states, lengths)
        scores = scores[0].transpose(1, 2)
        mask = state_mask(states, lengths)
        return (scores if mask is None else scores.masked_fill(~mask, float("-inf"))).softmax(dim=1)


class MultiHeadAttention(nn.Module):
    """A query for each head over its slice of the states (https://arxiv.org/abs/1906.09890).

    With one head it is the plain attention pooling.

    Arguments
    ---------
    input_size : int
        Values of a state.
    num_heads : int
        Slices of the state.
    score_scale : str
        What the scores are divided by: "heads", the square root of the number of heads (the
        original code), or "head_size", that of the slice's size (its paper).

    Example
    -------
    >>> pooling = MultiHeadAttention(320, num_heads=16)
    >>> pooling(torch.rand(2, 22, 320)).shape
    torch.Size([2, 320])
    """

    def __init__(self, input_size, num_heads=1, score_scale="head_size"):
        super().__init__()
        if num_heads < 1 or input_size % num_heads:
            raise ValueError(f"num_heads {num_heads} does not divide the {input_size} values")
        self.output_size = input_size
        self.query = nn.Parameter(torch.empty(num_heads, input_size // num_heads))
        nn.init.xavier_normal_(self.query)
        divisors = {"heads": num_heads, "head_size": self.query.shape[1]}
        if score_scale not in divisors:
            raise ValueError(f"score_scale is heads or head_size, not {score_scale!r}")
        self.scale = 1 / math.sqrt(divisors[score_scale])

    def forward(self, states, lengths=None):
        return self.attend(states, state_mask(states, lengths)).flatten(start_dim=1)

    def attend(self, states, mask=None):
        """The weighted mean of each head: (batch, num_heads, input_size // num_heads)."""
        heads = states.unflatten(2, self.query.shape)  # (batch, states, heads, head_size)
        return torch.einsum("bth,bthd->bhd", self.weights(states, mask), heads)

    def alignment(self, states, lengths=None):
        """The weights of the states, which sum to 1 for each head: (batch, states, num_heads)."""
        return self.weights(states, state_mask(states, lengths))

    def weights(self, states, mask=None):
        """The alignment, which sums to 1 over the states: (batch, states, num_heads).

        The mask is (batch, states, 1), True where a state takes part; see `state_mask`.
        """
        heads = states.unflatten(2, self.query.shape)
        scores = torch.einsum("bthd,hd->bth", heads, self.query) * self.scale
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return scores.softmax(dim=1)


class DoubleMultiHeadAttention(nn.Module):
    """A second attention, over the heads' vectors (https://arxiv.org/abs/2007.13199).

    Arguments
    ---------
    input_size, num_heads, score_scale
        As in MultiHeadAttention; the second attention has one head.
    head_drop : float
        While training, the share of heads that the second attention does not see; at least
        one is always left.

    Example
    -------
    >>> pooling = DoubleMultiHeadAttention(320, num_heads=16)
    >>> pooling(torch.rand(2, 22, 320)).shape
    torch.Size([2, 20])
    """

    def __init__(self, input_size, num_heads=16, score_scale="head_size", head_drop=0.0):
        super().__init__()
        if not 0 <= head_drop < 1:
            raise ValueError(f"head_drop is at least 0 and below 1, not {head_drop}")
        self.head_drop = head_drop
        self.over_states = MultiHeadAttention(input_size, num_heads, score_scale)
        self.output_size = input_size // num_heads
        self.over_heads = MultiHeadAttention(self.output_size, 1, score_scale)

    def forward(self, states, lengths=None):
        heads = self.over_states.attend(states, state_mask(states, lengths))
        kept = self._kept(heads) if self.training and self.head_drop else None
        return self.over_heads.attend(heads, kept).squeeze(1)

    def alignment(self, states, lengths=None):
        """The weights of the states times those of the heads: (batch, states, num_heads).

        Over the states they sum to the weight of the head, which together make 1.
        """
        mask = state_mask(states, lengths)
        heads = self.over_states.attend(states, mask)
        return self.over_states.weights(states, mask) * self.over_heads.weights(heads).mT

    def _kept(self, heads):
        """(batch, num_heads, 1), True where a head takes part."""
        draws = torch.rand_like(heads[:, :, :1])
        # The head with the largest draw always stays: without one the softmax would be NaN.
        return (draws >= self.head_drop) | (draws == draws.amax(dim=1, keepdim=True))


POOLINGS = {
    "attention": MultiHeadAttention,
    "multi_head": MultiHeadAttention,
    "double_multi_head": DoubleMultiHeadAttention,
    "temporal_average": TemporalAverage,
    "statistics": Statistics,
    "attentive_statistics": AttentiveStatistics,
}


def make_pooling(
    input_size, name, num_heads=16, score_scale="head_size", head_drop=0.0, attention_size=128
):
    """The pooling of that name, with those of the settings that it has.

    Raises
    ------
    ValueError
        For an unknown name, and heads that do not divide the values.

    Example
    -------
    >>> make_pooling(320, "double_multi_head", num_heads=16).output_size
    20
    """
    heads = {"num_heads": num_heads, "score_scale": score_scale}
    settings = {
        "attention": {"score_scale": score_scale},
        "multi_head": heads,
        "double_multi_head": heads | {"head_drop": head_drop},
        "attentive_statistics": {"attention_size": attention_size},
    }
    if name not in POOLINGS:
        raise ValueError(f"pooling {name!r} is unknown: take one of {', '.join(POOLINGS)}")
    return POOLINGS[name](input_size, **settings.get(name, {}))


def state_mask(states, lengths):
    """(batch, states, 1), True where an utterance has a state; None where lengths is None."""
    if lengths is None:
        return None
    return length_mask(beside(lengths, states), states.shape[1]).unsqueeze(2)


def masked_mean(values, mask):
    """Mean over the frames: (batch, frames, n) and (batch, frames, 1) or None -> (batch, 1, n)."""
    if mask is None:
        return values.mean(dim=1, keepdim=True)
    return (values * mask).sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True)
