"""A device to what suits it: number format, worker processes, memory."""

import ctypes
import mmap
import os

import torch

from local.machine import processes

# Of glibc's mallopt: how many blocks may be mapped one by one, and how much free memory at the top
# of the heap is given back.
_M_MMAP_MAX = -4
_M_TRIM_THRESHOLD = -1
_NEVER = -1
_MADV_HUGEPAGE = 14  # of Linux
_HUGE_HEAP_BYTES = 8 * 2**30
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


def precision(setting, device):
    """The setting, or for "auto" the `fast_precision` of the device."""
    return fast_precision(device) if setting == "auto" else setting


def num_reading_workers(setting, device, in_memory=False):
    """The setting of worker processes that read audio, or for None a number that suits the device.

    Audio in memory needs none: cutting it costs less than handing it from process to process. Nor
    does a network on a CPU, which would wait for the core that a worker occupies.
    """
    if setting is not None:
        return setting
    if in_memory or not device.startswith("cuda"):
        return 0
    return min(MAX_WORKERS, len(os.sched_getaffinity(0)) // processes.num_local())


def keep_freed_memory(device="cpu"):
    """Lets the C library keep the memory of large tensors for the next ones, in large pages.

    For training on a CPU: otherwise the kernel maps, clears and takes back the memory of each
    activation in every step. Does nothing on other devices, or where the C library is not glibc.
    """
    if device != "cpu":
        return
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)
        _ask_for_huge_pages(libc)
    except (OSError, AttributeError):
        return


def _ask_for_huge_pages(libc):
    """Marks the heap before it grows; memory that is not used is not taken.

    Tensors of many megabytes in pages of 4 kB cost a tenth of a training step.
    """
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = libc.malloc(_HUGE_HEAP_BYTES)
    if block is not None:
        start = -(-block // mmap.PAGESIZE) * mmap.PAGESIZE
        libc.madvise(start, _HUGE_HEAP_BYTES - mmap.PAGESIZE, _MADV_HUGEPAGE)
        libc.free(block)
