"""recipes/extract_features.py over the files of a folder, from the command to its end."""

import itertools
import tempfile
from functools import partial
from pathlib import Path

from librosa_features import AUDIO
from made_up import write_noise
from processes import run_script
from tables import Table, compared
from timing import interleaved

ROOT = Path(__file__).resolve().parents[3]
LIBROSA = ROOT / "tests" / "benchmarks" / "librosa_features.py"
RECIPE = (
    ROOT / "recipes" / "extract_features.py",
    ROOT / "hparams" / "vgg.yaml",
    "--noprogressbar",
    "--files",
)


def measure(options):
    """Beside a script of librosa's with a process for each core; real speech with --data_dir."""
    with tempfile.TemporaryDirectory() as name:
        folder = options.data_dir and options.data_dir / "audio"
        if folder is None or options.quick:
            folder = write_corpus(Path(name) / "audio", 4 if options.quick else 1500)
        new_folders = (Path(name) / f"out{number}" for number in itertools.count())
        run = partial(run_script, quick=options.quick)
        recipe = partial(run, *RECIPE, folder, "--feature_dir")
        calls = {
            "the recipe, .npy of float16": lambda: recipe(next(new_folders)),
            "librosa, pickles of float32": lambda: run(LIBROSA, folder, next(new_folders)),
            "the recipe, when all is there": lambda: recipe(Path(name) / "kept"),
        }
        if options.quick:
            del calls["librosa, pickles of float32"]  # numba compiles it, for half a minute
        times = interleaved(calls, rounds=5, quick=options.quick)
        num_files = sum(path.suffix in AUDIO for path in folder.rglob("*"))
    rows = compared(times, {"librosa, pickles of float32": 2})
    kind = "real speech" if options.data_dir and not options.quick else "noise"
    return Table(f"Features of {num_files} files of {kind}, the whole script on all cores", rows)


def write_corpus(folder, num_files):
    """Files of 2 to 6 s."""
    for index in range(num_files):
        write_noise(folder / f"{index // 20}" / f"{index}.wav", 2 + index % 5, seed=index)
    return folder
