"""The random states of all processes as a part of the checkpoints."""

import functools
import random

import numpy as np
import torch
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)

from local.machine import processes


@functools.partial(register_checkpoint_hooks, save_on_main_only=False)
class RandomStates:
    """The random states of Python, numpy and torch in each process, as a part of the checkpoints.

    A process that had none, as there were fewer, keeps the state that it has.

    Arguments
    ---------
    device : str
        Of the network: where it is a GPU, its random state is kept, too. Asking for that of another
        would take memory there.
    """

    def __init__(self, device="cpu"):
        self.gpu = device if device.startswith("cuda") else None

    @mark_as_saver
    def save(self, path):
        states = processes.gather(self._states())
        if states is not None:
            torch.save(states, path)

    def _states(self):
        version, words, gauss = random.getstate()
        name, keys, *position = np.random.get_state()
        return {
            # As tensors, which are written much faster than lists of numbers.
            "python": [version, torch.tensor(words), gauss],
            "numpy": [name, torch.from_numpy(keys.astype(np.int64)), *position],
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.gpu) if self.gpu else None,
        }

    @mark_as_loader
    def load(self, path, end_of_epoch):
        del end_of_epoch
        all_states = torch.load(path, weights_only=True)
        if processes.rank() >= len(all_states):
            return
        states = all_states[processes.rank()]
        version, words, gauss = states["python"]
        random.setstate((version, tuple(words.tolist()), gauss))
        name, keys, *position = states["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *position))
        torch.set_rng_state(states["torch"])
        if states["cuda"] is not None and self.gpu:
            torch.cuda.set_rng_state(states["cuda"], self.gpu)
