"""A device to what suits it: number format, kernels, worker processes, memory."""

import contextlib
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
# That cut chunks of audio in memory: each makes 600 batches of 64 a second.
CUTTING_WORKERS = 2


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


def autocast_name(precision):
    """The precision by SpeechBrain's names; "tf32" is a matter of kernels."""
    return "fp32" if precision == "tf32" else precision


def autocast_dtype(precision):
    """The type of what convolutions and the like compute with.

    Example
    -------
    >>> autocast_dtype("bf16"), autocast_dtype("fp16"), autocast_dtype("tf32")
    (torch.bfloat16, torch.float16, torch.float32)
    """
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)


def autocast(precision, device):
    """A block, which may be entered again, in which convolutions compute with a precision."""
    dtype = autocast_dtype(precision)
    return torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32)


def choose_kernels(precision, same_shapes):
    """Has GPUs compute float32 as float32, but for convolutions in "tf32".

    Importing SpeechBrain has them round what they multiply to 11 bits (TF32), and torch does so in
    convolutions: embeddings would differ by 1e-3 from those of a CPU.

    Arguments
    ---------
    precision : str
        fp32, tf32, bf16 or fp16; never auto.
    same_shapes : bool
        Whether all batches have one shape: then it pays to try which kernels are the fastest.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = same_shapes


@contextlib.contextmanager
def kernels_for_any_shape(precision):
    """A block with the kernels of a precision, for batches of many shapes."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    choose_kernels(precision, same_shapes=False)
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before


def num_reading_workers(setting, device, in_memory=False):
    """The setting of worker processes that read audio, or for None a number that suits the device.

    A network on a CPU needs none: it would wait for the core that a worker occupies. A GPU would
    wait for what is done between its steps.
    """
    if setting is not None:
        return setting
    if not device.startswith("cuda"):
        return 0
    most = CUTTING_WORKERS if in_memory else MAX_WORKERS
    return min(most, len(os.sched_getaffinity(0)) // processes.num_local())


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
