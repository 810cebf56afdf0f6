"""What a checkpoint costs, in time and on the disk."""

import tempfile
from pathlib import Path

from made_up import SMALL, write_corpus
from speechbrain.utils.checkpoints import Checkpointer
from tables import Row, Table, against
from timing import interleaved

from subjects.training import QUICK, Loop

VOXCELEB2_SPEAKERS = 5994


def measure(options):
    """The default network and the published one, with the speakers of VoxCeleb2."""
    rows = []
    for width in (8,) if options.quick else (128, 1024):
        with tempfile.TemporaryDirectory(dir=options.out_dir) as name:
            rows += rows_of(Path(name), width, options.quick)
    title = f"A checkpoint of {VOXCELEB2_SPEAKERS} training speakers"
    return Table(title, rows, "With the moving average of the weights and Adam's two moments.")


def rows_of(folder, width, quick):
    brain = make_brain(folder, width)
    theirs = Checkpointer(folder / "theirs", brain.checkpointer.recoverables)
    calls = {
        f"K = {width}: whole, on the disk, with digests": brain._save_intra_epoch_ckpt,
        "SpeechBrain's, perhaps in memory only": lambda: theirs.save_and_keep_only(num_to_keep=2),
    }
    times = interleaved(calls, rounds=5, quick=quick)
    (ours, our_time), (other, other_time) = times.items()
    minutes = brain.hparams.ckpt_interval_minutes
    share_of_a_run = f"share of a run, every {minutes} minutes"
    share = 100 * our_time.median / (60 * minutes)
    newest = brain.checkpointer.find_checkpoint().path
    megabytes = sum(path.stat().st_size for path in newest.iterdir()) / 1e6
    return [
        against(ours, *our_time, our_time.median),
        against(other, *other_time, our_time.median),
        Row(share_of_a_run, share, "%", target="under 2", met=share < 2),
        Row("size", megabytes, "MB"),
    ]


def make_brain(folder, width):
    """The Brain of a run that has made a step, with more speakers than its corpus has."""
    settings = write_corpus(folder / "corpus", **SMALL) | QUICK | {"width": width}
    loop = Loop(folder, settings, num_speakers=VOXCELEB2_SPEAKERS)
    loop()
    return loop.brain
