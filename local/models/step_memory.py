"""A training step to the memory that it takes, without computing it."""

import copy
import weakref
from typing import NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class StepMemory(NamedTuple):
    """In bytes. Gradients come as activations go: the highest of a step is not their sum."""

    weights: int  # with buffers, and the moving average where there is one
    gradients: int
    optimizer: int
    activations: int  # what the forward pass leaves for the backward pass
    highest: int


def step_memory(
    extractor, classifier, loss, make_optimizer, features_shape, dtype, num_parts=1, average=False
):
    """Runs two updates on tensors that have shapes and no values, and follows what they hold.

    What is counted are tensors: to 0.1 % what torch allocates on a CPU in one thread. A GPU adds
    its context (about half a GB), the workspaces of its libraries, and gaps between tensors.
    Features and augmentation are left out: they are done, and given up, before.

    Arguments
    ---------
    extractor, classifier : torch.nn.Module
        Features to embeddings, and these to cosines; they stay as they are.
    loss : local.models.losses.MarginSoftmax
    make_optimizer : callable
        A list of parameters to a torch.optim.Optimizer.
    features_shape : tuple of int
        (chunks computed at a time, frames, features).
    dtype : torch.dtype
        Of the convolutions: float32, or that of autocast.
    num_parts : int
        So many times that many chunks are an update.
    average : bool
        Whether there is a moving average of the extractor's weights.

    Returns
    -------
    memory : StepMemory
        Of the second update: the first one finds no state of the optimizer.

    Example
    -------
    >>> from torch import nn
    >>> from local.models.losses import MarginSoftmax
    >>> extractor = nn.Sequential(nn.Flatten(), nn.Linear(200, 10, bias=False))
    >>> sizes = {"features_shape": (4, 20, 10), "dtype": torch.float32}
    >>> sgd = torch.optim.SGD
    >>> memory = step_memory(extractor, nn.Linear(10, 5), MarginSoftmax(), sgd, **sizes)
    >>> memory.weights == memory.gradients == 4 * (200 * 10 + 10 * 5 + 5)
    True
    """
    fake = FakeTensorMode()
    with FakeCopyMode(fake):
        extractor, classifier, loss = copy.deepcopy((extractor, classifier, loss))
        kept = [extractor, classifier] + ([copy.deepcopy(extractor)] if average else [])
    loss.set_step(1, 1)  # the whole margin
    parameters = [*extractor.parameters(), *classifier.parameters()]
    with fake, _Held() as held:
        held.add([tensor for module in kept for tensor in module.state_dict().values()])
        weights = held.now
        features = torch.zeros(features_shape)
        labels = torch.zeros(len(features), dtype=torch.long)
        optimizer = make_optimizer(parameters)
        for _ in range(2):
            before = held.highest = held.now
            for _ in range(num_parts):
                with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                    value = loss(classifier(extractor(features)), labels)
                # A second part finds the gradients of the first one.
                gradients = sum(p.grad.nbytes for p in parameters if p.grad is not None)
                activations = held.now - before - gradients
                value.backward()
            gradients = sum(p.grad.nbytes for p in parameters if p.grad is not None)
            optimizer.step()
            optimizer.zero_grad()
    state = [tensor for one in optimizer.state.values() for tensor in tree_leaves(one)]
    optimizer_bytes = sum(tensor.nbytes for tensor in state if torch.is_tensor(tensor))
    return StepMemory(weights, gradients, optimizer_bytes, activations, held.highest)


class _Held(TorchDispatchMode):
    """Follows the bytes of the tensors that operations return, until they are given up."""

    def __init__(self):
        super().__init__()
        self.now = self.highest = 0
        self._storages = set()

    def add(self, tensors):
        for tensor in tensors:
            storage = tensor.untyped_storage()
            number = storage._cdata
            if number not in self._storages:
                self._storages.add(number)
                self.now += storage.nbytes()
                self.highest = max(self.highest, self.now)
                weakref.finalize(storage, self._give_up, number, storage.nbytes())

    def _give_up(self, number, num_bytes):
        self._storages.remove(number)
        self.now -= num_bytes

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        returned = operation(*arguments, **(keywords or {}))
        self.add(tensor for tensor in tree_leaves(returned) if torch.is_tensor(tensor))
        return returned
