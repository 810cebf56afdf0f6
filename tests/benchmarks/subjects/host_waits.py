"""Where a training step waits for the device, and for how long."""

import tempfile
import time
import traceback
from collections import defaultdict
from pathlib import Path

import torch
from tables import Row, Table
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from subjects.gpu_training import ROOT, make_loop, steps

# Operations whose result the host has to know before it goes on.
WAITING = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
COPIES = {torch.ops.aten._to_copy, torch.ops.aten.copy_}
NUM_STEPS = 20
RECIPE = (f"{ROOT}/local/", f"{ROOT}/recipes/")


def measure(options):
    """The loop of hparams/vgg.yaml, with augmentation: each line of the code that waits."""
    with tempfile.TemporaryDirectory() as name:
        loop = make_loop(Path(name), 128, options, augment=True)
        rows = [Row("a step", steps(loop, options.quick))]
        num_steps = 2 if options.quick else NUM_STEPS
        with Waits(options.device) as waits:
            for _ in range(num_steps):
                loop()
    for place, seconds in sorted(waits.seconds.items(), key=lambda item: -sum(item[1])):
        what = f"{place}, {len(seconds) / num_steps:g} a step"
        rows.append(Row(what, sum(seconds) / num_steps))
    title = "Waits of the host in a training step: seconds a step"
    note = "A wait lasts until everything that was queued before is done: the first one most."
    return Table(title, rows, note)


class Waits(TorchDispatchMode):
    """Notes how long operations take that read values, or copy between host and device.

    On a CPU, which waits for nobody, only the former.
    """

    def __init__(self, device):
        super().__init__()
        self.device_type = torch.device(device).type
        self.seconds = defaultdict(list)

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        start = time.perf_counter()
        returned = operation(*arguments, **(keywords or {}))
        if self._waits(operation, arguments, keywords or {}, returned):
            self.seconds[_place()].append(time.perf_counter() - start)
        return returned

    def _waits(self, operation, arguments, keywords, returned):
        given = {one.device.type for one in tree_leaves(arguments) if torch.is_tensor(one)}
        if WAITING & set(operation.tags):
            return self.device_type in given
        made = {one.device.type for one in tree_leaves(returned) if torch.is_tensor(one)}
        is_queued = any(one is True for one in (keywords.get("non_blocking"), *arguments[2:]))
        return operation.overloadpacket in COPIES and len(given | made) > 1 and not is_queued


def _place():
    """The innermost line of the recipe."""
    stack = traceback.extract_stack()
    own = [frame for frame in stack if frame.filename.startswith(RECIPE)]
    frame = own[-1] if own else stack[-3]
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.line[:60]}"
