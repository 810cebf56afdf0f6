"""A device to how many floating-point operations it does in a second."""

import time

import torch

# For each product of the forward pass, the backward pass has two: for the inputs and the weights.
TRAINING_PASSES = 3
# Large enough for the peak, small enough for a fraction of a second.
MATRIX_SIZES = {"cuda": 8192, "cpu": 2048}
_NUM_PRODUCTS = 20


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
