"""The training loop on a GPU with its network compiled by SpeechBrain, beside that without."""

import tempfile
from pathlib import Path

from tables import Row, Table
from timing import timed

from subjects.gpu_training import make_loop, steps

COMPILED = {"compile_module_keys": "extractor"}


def measure(options):
    """The largest network and the smallest one: what compiling takes, and what it saves."""
    rows = []
    for width in (128,) if options.quick else (1024, 128):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            ours = steps(make_loop(folder / "plain", width, options), options.quick)
            loop = make_loop(folder / "compiled", width, options, **COMPILED)
            first = timed(loop)
            seconds = steps(loop, options.quick)
        rows += [
            Row(f"K = {width}: step", ours, times_ours=1.0),
            Row(
                f"K = {width}: --compile_module_keys extractor", seconds, times_ours=seconds / ours
            ),
            Row(f"K = {width}: its first step", first),
        ]
    return Table("Training on a GPU with --compile_module_keys extractor", rows)
