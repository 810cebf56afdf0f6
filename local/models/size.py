"""A network to its size: parameters, and multiplications."""

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode


def num_parameters(module):
    """How many numbers the training learns.

    Example
    -------
    >>> num_parameters(torch.nn.Linear(3, 4))
    16
    """
    return sum(parameter.numel() for parameter in module.parameters())


def num_macs(extractor, num_frames, num_features):
    """Multiplications, each with an addition, of embedding one utterance.

    Those of convolutions and matrix products, which are nearly all.
    """
    # Of a copy: training would change the batch norms' statistics.
    copied = copy.deepcopy(extractor).eval()
    device = next(copied.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copied(torch.zeros(1, num_frames, num_features, device=device))
    return counter.get_total_flops() // 2
