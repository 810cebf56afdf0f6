"""Margin softmax with SpeechBrain's margins, which may change while training."""

import torch
from speechbrain.nnet.losses import AdditiveAngularMargin, AngularMargin
from speechbrain.utils.autocast import fwd_default_precision
from torch.nn.functional import cross_entropy

MARGINS = {"am": AngularMargin, "aam": AdditiveAngularMargin}
SCHEDULES = ("constant", "linear", "exponential", "annealing")


class MarginSoftmax(torch.nn.Module):
    """Cross entropy of scaled cosines, with a margin taken off the true speaker's.

    The other speakers that are nearest to a chunk may get a margin in their favour, too: the
    inter-top-k penalty (https://arxiv.org/abs/2110.05042).

    The loss of SpeechBrain's LogSoftmaxWrapper, but only the true speaker's cosine goes through
    the margin, and there are no one-hot targets: time and memory are those of a few passes over
    (batch, speakers).

    Arguments
    ---------
    kind : str
        "am": off the cosine (https://arxiv.org/abs/1801.05599); "aam": on the angle
        (https://arxiv.org/abs/1801.07698).
    margin : float
        For "am" in units of the cosine, for "aam" in radians.
    scale : float
        Of the cosines.
    schedule : str
        Of the margin and the penalty: "constant", "linear", "exponential" or "annealing"; see
        `linear_rise`, `exponential_rise` and `annealing`.
    rise_start, rise_stop : float
        Shares of the training between which "linear" and "exponential" go from 0 to the margin.
    top_k : int
        How many other speakers get the penalty; 0 for none.
    top_k_penalty : float
        On the scale of the margin: for "am", what is added to their cosines, for "aam", what is
        taken off their angles.

    Example
    -------
    >>> loss = MarginSoftmax("am", margin=0.4, scale=30.0)
    >>> cosines = torch.tensor([[0.9, 0.1], [0.2, 0.7]])
    >>> loss(cosines, torch.tensor([0, 1])) > 0
    tensor(True)
    """

    def __init__(
        self,
        kind="am",
        margin=0.4,
        scale=30.0,
        schedule="constant",
        rise_start=0.0,
        rise_stop=0.4,
        top_k=0,
        top_k_penalty=0.06,
    ):
        super().__init__()
        if kind not in MARGINS:
            raise ValueError(f"the margin is am or aam, not {kind!r}")
        if schedule not in SCHEDULES:
            raise ValueError(f"margin schedule {schedule!r} is none of {', '.join(SCHEDULES)}")
        if not isinstance(top_k, int) or top_k < 0:
            raise ValueError(f"top_k is a whole number from 0 on, not {top_k!r}")
        if not 0 <= top_k_penalty <= 1:
            raise ValueError(f"top_k_penalty is a number from 0 to 1, not {top_k_penalty!r}")
        self.kind = kind
        self.margin = margin
        self.scale = scale
        self.schedule = schedule
        self.rise = (rise_start, rise_stop)
        self.top_k = top_k
        self.top_k_penalty = top_k_penalty
        self.set_step(0, 1)

    def set_step(self, step, num_steps):
        """Sets margin and penalty to those after `step` of `num_steps` updates."""
        factor = 1.0
        if self.schedule == "linear":
            factor = linear_rise(step / num_steps, *self.rise)
        elif self.schedule == "exponential":
            factor = exponential_rise(step / num_steps, *self.rise)
        elif self.schedule == "annealing":
            factor = annealing(step)
        # SpeechBrain's margins have no parameters, and compute their constants when made.
        self.subtract_margin = MARGINS[self.kind](margin=self.margin * factor)
        self.add_penalty = MARGINS[self.kind](margin=-self.top_k_penalty * factor)

    @fwd_default_precision
    def forward(self, cosines, labels, weights=None):
        """(batch, speakers), (batch,) and (batch,) of each chunk, or None -> the mean loss."""
        true_speaker = labels.unsqueeze(1)
        true_cosine = cosines.gather(1, true_speaker)
        less_margin = self.subtract_margin(true_cosine, torch.ones_like(true_cosine))
        logits = cosines.scatter(1, true_speaker, less_margin)
        if self.top_k:
            logits = self._with_penalty(logits, cosines, true_speaker)
        logits = logits.mul_(self.scale)
        if weights is None:
            return cross_entropy(logits, labels)
        return (weights * cross_entropy(logits, labels, reduction="none")).mean()

    def _with_penalty(self, logits, cosines, true_speaker):
        others = cosines.detach().scatter(1, true_speaker, float("-inf"))
        nearest = others.topk(min(self.top_k, cosines.shape[1] - 1), dim=1).indices
        near_cosines = cosines.gather(1, nearest)
        penalised = self.add_penalty(near_cosines, torch.ones_like(near_cosines))
        return logits.scatter(1, nearest, penalised)


def linear_rise(share, start, stop):
    """0 up to the share `start` of the training, 1 from `stop` on, a straight line between.

    Example
    -------
    >>> [linear_rise(share, start=0.25, stop=0.75) for share in (0.0, 0.5, 1.0)]
    [0.0, 0.5, 1.0]
    """
    if stop <= start:
        return float(share >= stop)
    return min(1.0, max(0.0, (share - start) / (stop - start)))


def exponential_rise(share, start, stop, rest=1e-3):
    """As `linear_rise`, but fast at first: up to `rest`, what is missing falls exponentially.

    Example
    -------
    >>> [round(exponential_rise(share, start=0.0, stop=0.9), 3) for share in (0.0, 0.3, 0.6, 0.9)]
    [0.0, 0.901, 0.991, 1.0]
    """
    return (1 - rest ** linear_rise(share, start, stop)) / (1 - rest)


def annealing(step, base=1000.0, gamma=1e-4, power=2.0, minimum=0.0):
    """The original's: 1 / (1 + a), where a = max(minimum, base / (1 + gamma * step)^power).

    The factor on the margin is the mean of the cosine with weight a and of the cosine less the
    margin with weight 1 (A-softmax, https://arxiv.org/abs/1704.08063).

    Example
    -------
    >>> round(annealing(0), 6), round(annealing(1_000_000), 3)
    (0.000999, 0.911)
    """
    return 1 / (1 + max(minimum, base / (1 + gamma * step) ** power))
