"""A GPU that computes nothing: shapes, devices, and where the CPU would wait for it."""

import sys
from itertools import chain
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROOT = Path(__file__).resolve().parents[2]
DEVICE = "cuda:0"


class PretendedGpu(TorchDispatchMode):
    """A block in which "cuda:0" can be used on any machine; what is on the CPU is computed.

    Its tensors have shapes and no values. Reading one, and copying between CPU and GPU, is noted in
    `waits`, with the function of the recipe that did it, unless the copy is asynchronous: to the
    GPU from pinned memory, or from it with an event that is waited for later. What is read is 1.

    Operations on tensors of both devices fail, and so does what has as many results as a GPU finds,
    such as `nonzero`. Backward passes aren't possible: see `without_backward`.
    """

    def __init__(self, patch):
        super().__init__()
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._depth = 0
        self._pinned = []  # kept, so that no other tensor gets their memory
        self.waits = []
        patch.setattr(torch.Tensor, "pin_memory", lambda tensor, device=None: self._pin(tensor))
        patch.setattr(torch.nn.Module, "to", _moved_once(torch.nn.Module.to))
        # Of autocast; all else would use the GPU if it was told that there is one.
        patch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        patch.setattr(torch.cuda, "set_device", lambda device: None)
        patch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
        patch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
        patch.setattr(torch.cuda, "get_rng_state", lambda device: torch.ByteTensor(16))
        patch.setattr(torch.cuda, "Event", lambda: Event(self))

    def __enter__(self):
        if not self._depth:
            self._fake.__enter__()
        self._depth += 1
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._depth -= 1
        if not self._depth:
            self._fake.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.prim.device.default:
            return args[0].fake_device
        if torch.is_inference_mode_enabled() and func._can_decompose():  # else, it is already
            with self:
                return func.decompose(*args, **kwargs)
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if torch.is_tensor(leaf)]
        on_gpu = [isinstance(tensor, FakeTensor) for tensor in tensors]
        name = func.overloadpacket
        if name is torch.ops.aten._local_scalar_dense and any(on_gpu):
            self._note()
            return 1.0 if tensors[0].is_floating_point() else 1
        if name is torch.ops.aten._to_copy:
            return self._copied(func, args, kwargs)
        if name is torch.ops.aten.copy_ and on_gpu[0] != on_gpu[1]:
            self._note()
        elif any(on_gpu) and any(
            tensor.ndim and not gpu for tensor, gpu in zip(tensors, on_gpu, strict=True)
        ):
            raise AssertionError(f"{func} of tensors on CPU and GPU in {_place()}")
        wanted = kwargs.get("device")
        if any(on_gpu) or (wanted is not None and torch.device(wanted).type == "cuda"):
            return func(*args, **kwargs)
        with unset_fake_temporarily():
            return func(*args, **kwargs)

    def _copied(self, func, args, kwargs):
        tensor, device = args[0], torch.device(kwargs.get("device") or args[0].device)
        is_async, dtype = kwargs.get("non_blocking", False), kwargs.get("dtype") or tensor.dtype
        if device.type == "cuda" and tensor.is_cuda:
            return func(*args, **kwargs)
        if device.type == "cuda":
            if not (is_async and self._is_pinned(tensor)):
                self._note()
            return torch.empty_strided(tensor.shape, tensor.stride(), dtype=dtype, device=device)
        with unset_fake_temporarily():
            if not tensor.is_cuda:
                return func(*args, **kwargs)
            if not is_async:
                self._note()
            return torch.ones(tensor.shape, dtype=dtype)

    def _pin(self, tensor):
        assert not tensor.is_cuda, "only memory of the CPU can be pinned"
        if not self._is_pinned(tensor):
            tensor = tensor.clone()
            self._pinned.append(tensor)
        return tensor

    def _is_pinned(self, tensor):
        places = {pinned.untyped_storage().data_ptr() for pinned in self._pinned}
        return tensor.untyped_storage().data_ptr() in places

    def _note(self):
        self.waits.append(_place())


def _moved_once(move):
    """Module.to, which can't move a module that is there already."""

    def to(module, device=None, *args, **kwargs):
        is_there = any(state.is_cuda for state in chain(module.parameters(), module.buffers()))
        return module if is_there else move(module, device, *args, **kwargs)

    return to


class Event:
    """In place of torch.cuda.Event: counts how many came after it."""

    last = 0

    def __init__(self, gpu):
        self._gpu = gpu

    def record(self):
        Event.last += 1
        self._number = Event.last

    def synchronize(self):
        self._gpu.waits.append(f"{_place()}, {Event.last - self._number} later")


def _place():
    """The innermost function of the recipe, as path: name."""
    frame, root = sys._getframe(), f"{ROOT}/"
    while frame:
        path = frame.f_code.co_filename.removeprefix(root)
        if path.startswith(("local/", "recipes/")):
            return f"{path}: {frame.f_code.co_qualname}"
        frame = frame.f_back
    return "tests"


def without_backward(brain):
    """In place of Tensor.backward, which asks for a device: the gradients it would leave."""

    def backward(loss):
        assert loss.ndim == 0 and loss.requires_grad
        for parameter in brain.modules.parameters():
            parameter.grad = torch.zeros_like(parameter)

    return backward
