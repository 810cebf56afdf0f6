"""Settings of the machine: number format, worker processes, memory."""

import ctypes
import os

import torch

# Of glibc's mallopt: blocks from this size on are mapped anew at each allocation, and memory at the
# top of the heap beyond this size is given back.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGE = 2**30
MAX_WORKERS = 8


def fast_precision(device):
    """ "bf16" where the device computes with it faster than with float32, "fp32" elsewhere.

    Arguments
    ---------
    device : str
        "cpu", "cuda", "cuda:1" ...
    """
    if device.startswith("cuda"):
        # A GPU before Ampere only emulates it.
        is_fast = torch.cuda.get_device_capability(device)[0] >= 8
    else:
        is_fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if is_fast else "fp32"


def num_loading_workers(setting, in_memory):
    """The worker processes that read audio: the setting, or for None what the machine has.

    Audio in memory needs none: cutting it costs less than handing it from process to process.
    """
    if setting is not None:
        return setting
    return 0 if in_memory else min(MAX_WORKERS, len(os.sched_getaffinity(0)))


def keep_freed_memory():
    """Lets the C library keep the memory of large tensors for the next ones.

    Otherwise each activation of a training step on a CPU is mapped, cleared and given back by the
    kernel again. Does nothing where the C library is not glibc.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE - 1)
    except (OSError, AttributeError):
        return
