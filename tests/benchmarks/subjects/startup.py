"""From the command to its help, to the first training step, and to the answer of compare.py."""

import tempfile
from functools import partial
from pathlib import Path

from hyperpyyaml import resolve_references
from made_up import as_arguments, write_corpus, write_noise
from processes import run_script
from tables import Row, Table
from timing import interleaved

from local.model_files.definition import build_definition, read_definition
from local.model_files.model_dir import save_config, save_weights

ROOT = Path(__file__).resolve().parents[3]
SCRIPT, SETTINGS = ROOT / "recipes" / "train_vgg.py", ROOT / "hparams" / "vgg.yaml"
COMPARE = ROOT / "recipes" / "compare.py", ROOT / "hparams" / "compare.yaml"
# Ends the process after the first step: what comes after it doesn't count.
UP_TO_FIRST_STEP = """\
import os, runpy, sys
script = runpy.run_path(sys.argv[1])
brain = script["SpeakerBrain"]
fit_batch = brain.fit_batch
brain.fit_batch = lambda self, batch: (fit_batch(self, batch), os._exit(0))
script["main"](sys.argv[2:])
"""


def measure(options):
    """Whole processes, with the files of Python and torch in the system's cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = write_corpus(folder, num_speakers=4) | {"width": "8", "batch_size": "4"}
        settings |= {"out_dir": folder / "out"}
        training = [str(SCRIPT), str(SETTINGS), *as_arguments(settings), "--noprogressbar"]
        (folder / "library.py").write_text("import speechbrain\n")
        (folder / "torch_alone.py").write_text("import torch\n")
        (folder / "first_step.py").write_text(UP_TO_FIRST_STEP)
        voices = [folder / "one.wav", folder / "another.wav"]
        for seed, path in enumerate(voices):
            write_noise(path, seconds=5.0, seed=seed)
        comparison = [*COMPARE, *voices, "--model_dir", make_model(folder / "model")]
        run = partial(run_script, quick=options.quick)
        calls = {
            "train_vgg.py -h": lambda: run(SCRIPT, "-h"),
            "import speechbrain": lambda: run(folder / "library.py"),
            "train_vgg.py, to the end of the first step": lambda: run(
                folder / "first_step.py", *training
            ),
            "import torch": lambda: run(folder / "torch_alone.py"),
            "compare.py, two recordings of 5 s": lambda: run(*comparison),
        }
        times = interleaved(calls, rounds=5, quick=options.quick)
    help_time, library_time, step_time, torch_time, comparison_time = times.values()
    over_import = step_time.median - library_time.median
    rows = [Row(what, time.median, spread=time.spread) for what, time in times.items()]
    rows += [
        limited("-h", help_time.median, 1.0),
        limited("first step, over the import", over_import, 3.0),
        limited("compare.py, over torch", comparison_time.median - torch_time.median, 1.5),
    ]
    return Table("Start-up", rows)


def make_model(folder):
    """A model directory of hparams/vgg.yaml, with the weights that a training begins with."""
    folder.mkdir()
    with open(SETTINGS) as file:
        settings = resolve_references(file, {"out_dir": str(folder)}).getvalue()
    (folder / "hyperparams.yaml").write_text(settings)
    save_config(folder, num_speakers=4)
    definition = folder / "model.yaml"
    extractor = build_definition(read_definition(definition), definition)["extractor"]
    save_weights(folder, {"extractor": extractor.state_dict(), "step": 0, "threshold": 0.5})
    return folder


def limited(what, seconds, limit):
    return Row(what, seconds, target=f"under {limit:g} s", met=seconds < limit)
