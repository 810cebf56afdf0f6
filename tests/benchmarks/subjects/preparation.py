"""Label file and audio to a manifest: the first run, and later ones."""

import tempfile
from pathlib import Path

import soundfile
from made_up import write_large_corpus
from tables import Row, Table, compared
from timing import interleaved

from local.data.manifests import prepare_training

NUM_FILES = 5000
WARM_SECONDS = 3.0


def measure(options):
    """Beside a plain loop over soundfile.info, which checks nothing and writes nothing."""
    num_lines, each = (40, 20) if options.quick else (options.num_lines, 200)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_large_corpus(folder, min(NUM_FILES, num_lines), num_lines, each)
        arguments = (folder / "labels.txt", folder / "audio", folder / "train.csv")

        def prepare():
            prepare_training(*arguments, progress=False)

        def first():
            for path in folder.glob("train*"):
                path.unlink()
            prepare()

        def loop():
            return [soundfile.info(str(path)) for path in paths]

        calls = {"the recipe, first run": first, "soundfile.info in a loop": loop}
        quick = options.quick or num_lines > 100_000
        times = interleaved(calls, rounds=3, quick=quick)
        rows = compared(times, {"soundfile.info in a loop": 1.0})
        later = interleaved({"later": prepare}, rounds=3, quick=quick)["later"]
    rows.append(later_row(later, rows[0].figure, num_lines))
    return Table(f"Preparation of {num_lines:,} utterances, files in the system's cache", rows)


def later_row(later, first_seconds, num_lines):
    limit = WARM_SECONDS * num_lines / 100_000
    return Row(
        "the recipe, later runs",
        later.median,
        spread=later.spread,
        times_ours=later.median / first_seconds,
        target=f"under {limit:.3g} s",
        met=later.median < limit,
    )
