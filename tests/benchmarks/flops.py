"""A network to its floating-point operations, a device to how many it does in a second."""

import copy
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

# For each product of the forward pass, the backward pass has two: for the inputs and the weights.
TRAINING_PASSES = 3
# Large enough for the peak, small enough for a fraction of a second.
MATRIX_SIZES = {"cuda": 8192, "cpu": 2048}
_NUM_PRODUCTS = 20


def forward_flops(extractor, num_frames, num_features):
    """Floating-point operations of embedding one utterance; two for each multiplication."""
    # Of a copy: training would change the batch norms' statistics.
    copied = copy.deepcopy(extractor).eval()
    device = next(copied.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copied(torch.zeros(1, num_frames, num_features, device=device))
    return counter.get_total_flops()


def bf16_peak_flops(device, quick=False):
    """Operations a second of large bf16 matrix products; convolutions can't be faster.

    With `quick` the products are small: for processors that only emulate bf16.
    """
    size = 64 if quick else MATRIX_SIZES[torch.device(device).type]
    left, right = torch.randn(2, size, size, device=device).bfloat16()
    _multiply(left, right, times=2)
    start = time.perf_counter()
    _multiply(left, right, _NUM_PRODUCTS)
    return _NUM_PRODUCTS * 2 * size**3 / (time.perf_counter() - start)


def _multiply(left, right, times):
    for _ in range(times):
        left @ right
    if left.is_cuda:
        torch.cuda.synchronize(left.device)
