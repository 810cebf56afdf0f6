"""What a checkpoint costs, in time and on the disk."""

import dataclasses
import runpy
import tempfile
from pathlib import Path

from made_up import as_arguments, write_corpus
from speechbrain.utils.checkpoints import Checkpointer
from tables import Row, Table, against
from timing import interleaved

ROOT = Path(__file__).resolve().parents[3]
VOXCELEB2_SPEAKERS = 5994


def measure(options):
    """The default network and the published one, with the speakers of VoxCeleb2."""
    rows = []
    for width in (8,) if options.quick else (128, 1024):
        with tempfile.TemporaryDirectory(dir=options.out_dir) as name:
            rows += rows_of(Path(name), width, rounds=1 if options.quick else 5)
    title = f"A checkpoint of {VOXCELEB2_SPEAKERS} training speakers"
    return Table(title, rows, "With the moving average of the weights and Adam's two moments.")


def rows_of(folder, width, rounds):
    brain = make_brain(folder, width)
    theirs = Checkpointer(folder / "theirs", brain.checkpointer.recoverables)
    calls = {
        f"K = {width}: whole, on the disk, with digests": brain._save_intra_epoch_ckpt,
        "SpeechBrain's, perhaps in memory only": lambda: theirs.save_and_keep_only(num_to_keep=2),
    }
    times = interleaved(calls, rounds)
    (ours, our_time), (other, other_time) = times.items()
    minutes = brain.hparams.ckpt_interval_minutes
    share = 100 * our_time.median / (60 * minutes)
    newest = brain.checkpointer.find_checkpoint().path
    megabytes = sum(path.stat().st_size for path in newest.iterdir()) / 1e6
    return [
        against(ours, *our_time, our_time.median),
        against(other, *other_time, our_time.median),
        Row(
            f"share of a run, every {minutes} minutes", share, "%", None, None, "under 2", share < 2
        ),
        Row("size", megabytes, "MB"),
    ]


def make_brain(folder, width):
    """The Brain of a run that has made a step, with more speakers than its corpus has."""
    script = runpy.run_path(str(ROOT / "recipes" / "train_vgg.py"))
    settings = write_corpus(folder / "corpus", num_speakers=4, num_utterances=2, seconds=1.0)
    settings |= {"width": width, "batch_size": 2, "chunk_samples": 8000, "device": "cpu"}
    settings |= {"out_dir": folder / "out"}
    functions = script["set_up"].__globals__
    prepare_data = functions["prepare_data"]

    def with_more_speakers(hparams):
        prepared = prepare_data(hparams)
        train = dataclasses.replace(prepared.train, num_speakers=VOXCELEB2_SPEAKERS)
        return prepared._replace(train=train)

    functions["prepare_data"] = with_more_speakers
    arguments = [str(ROOT / "hparams" / "vgg.yaml"), *as_arguments(settings)]
    brain, loader, _, _ = script["set_up"](arguments)
    brain.on_fit_start()
    brain.on_stage_start(script["sb"].Stage.TRAIN)
    brain.modules.train()
    brain.fit_batch(next(iter(loader)))
    return brain
