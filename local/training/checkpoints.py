"""Checkpoints to go on from: whole ones, of everything that a training run depends on."""

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path

import torch
from speechbrain.utils.checkpoints import (
    DEFAULT_SAVE_HOOKS,
    Checkpointer,
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
    torch_save,
)
from speechbrain.utils.distributed import main_process_only
from speechbrain.utils.epoch_loop import EpochCounterWithStopper

from local.atomic import flush_to_disk, writing
from local.errors import InputError
from local.machine import processes
from local.model_files.weights import on_cpu

logger = logging.getLogger(__name__)

DIGESTS_FILE = "digests.json"
# Of a checkpoint in writing, and of one that can't be used; SpeechBrain looks for CKPT.
PARTIAL, DAMAGED = "partial+", "damaged+"

# SpeechBrain leaves this out, and the counter's parent saves the epoch only: a resumed run would
# forget the best EER and the patience.
register_checkpoint_hooks(EpochCounterWithStopper)


@main_process_only
def save_on_cpu(stateful, path):
    """SpeechBrain's torch_save, in whose place it stands, leaves tensors on their device."""
    torch.save(on_cpu(stateful.state_dict()), path)


DEFAULT_SAVE_HOOKS |= {
    kind: save_on_cpu for kind, hook in DEFAULT_SAVE_HOOKS.items() if hook is torch_save
}


class WholeCheckpointer(Checkpointer):
    """SpeechBrain's Checkpointer, which goes on from whole checkpoints only.

    A checkpoint gets its name when it is complete and on the disk. SpeechBrain names the directory
    before it fills it, and so takes what an interruption left for a checkpoint. The digests of its
    files are kept with it, and checked before it is loaded.
    """

    def save_checkpoint(self, meta=None, end_of_epoch=True):
        """Saves a checkpoint; returns it in the first process, None in the others."""
        partial = f"{os.getpid()}"
        try:
            with writing(self.checkpoints_dir):
                saved = super().save_checkpoint(meta or {}, end_of_epoch, partial, logging.DEBUG)
                if saved is None:  # another process than the first
                    return None
                _write_digests(saved.path)
        except InputError:
            shutil.rmtree(self._custom_checkpoint_dirpath(partial), ignore_errors=True)
            raise
        final = self._new_checkpoint_dirpath()
        os.replace(saved.path, final)
        flush_to_disk(self.checkpoints_dir)
        files = {key: final / path.name for key, path in saved.paramfiles.items()}
        return saved._replace(path=final, paramfiles=files)

    def save_and_clear_up(self, meta, end_of_epoch):
        """Saves a checkpoint; keeps it, the one before, and the one of the lowest EER."""
        saved = self.save_checkpoint(meta, end_of_epoch)
        if processes.rank() == 0:
            # SpeechBrain's own deletion has the processes agree on each checkpoint, of which
            # another machine may not know yet.
            best = self.find_checkpoint(min_key="eer_percent")
            kept = [*self.find_checkpoints(max_num_checkpoints=2), *([best] if best else [])]
            for old in {old.path for old in self.list_checkpoints()} - {k.path for k in kept}:
                self._delete(old)
        return saved

    def _delete(self, path):
        # Half deleted, it would be taken for damaged.
        doomed = path.with_name(f"{PARTIAL}{path.name}")
        os.replace(path, doomed)
        shutil.rmtree(doomed)

    def _custom_checkpoint_dirpath(self, name):
        return self.checkpoints_dir / f"{PARTIAL}{name}"

    def recover_if_possible(self, **selection):
        """Loads the newest whole checkpoint, in all processes the same.

        Arguments
        ---------
        selection : dict
            As for SpeechBrain's `find_checkpoint`.

        Returns
        -------
        checkpoint : Checkpoint or None

        Raises
        ------
        InputError
            If all checkpoints are damaged, or the newest is of another model.
        """
        found = processes.on_first(lambda: self._find_whole(selection))
        if found is not None:
            try:
                self.load_checkpoint(found)
            except RuntimeError as error:
                raise InputError(
                    f"{found.path}: is of another model or number of speakers. Give another "
                    "--out_dir, or the settings it was trained with.\n"
                    + "\n".join(str(error).splitlines()[:4])
                ) from error
        return found

    def _find_whole(self, selection):
        for partial in self.checkpoints_dir.glob(f"{PARTIAL}*"):
            shutil.rmtree(partial)
        self._set_aside_damaged()
        found = self.find_checkpoint(**selection)
        if found is None and list(self.checkpoints_dir.glob(f"{DAMAGED}*")):
            raise InputError(
                f"{self.checkpoints_dir}: every checkpoint is damaged. To train from the start, "
                "give another --out_dir"
            )
        return found

    def _set_aside_damaged(self):
        """Renames what can't be used: it is neither loaded nor counted as one to keep."""
        for path in self._list_checkpoint_dirs():
            problem = _find_damage(path)
            if problem:
                aside = path.with_name(f"{DAMAGED}{path.name}")
                os.replace(path, aside)
                logger.warning("%s: is damaged (%s); looking for another", aside, problem)


def _write_digests(folder):
    digests = {}
    for path in sorted(folder.iterdir()):
        flush_to_disk(path)
        digests[path.name] = _digest(path)
    (folder / DIGESTS_FILE).write_text(json.dumps(digests, indent=1), encoding="utf-8")
    flush_to_disk(folder / DIGESTS_FILE)
    flush_to_disk(folder)


def _digest(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _find_damage(folder):
    """What is wrong with a checkpoint, or None."""
    try:
        digests = json.loads((folder / DIGESTS_FILE).read_text(encoding="utf-8"))
        for name, digest in digests.items():
            if _digest(folder / name) != digest:
                return f"{name} has changed"
    except OSError as error:
        return f"{Path(error.filename).name}: {error.strerror}"
    except (ValueError, AttributeError):
        return f"{DIGESTS_FILE} can't be read"
    return None


@register_checkpoint_hooks
class TrainingData:
    """Warns when a run goes on with other training data than it began with.

    Arguments
    ---------
    manifest_path : str or Path
        Of the training utterances.
    """

    def __init__(self, manifest_path):
        self.digest = _digest(manifest_path)

    @mark_as_saver
    def save(self, path):
        Path(path).write_text(self.digest, encoding="utf-8")

    @mark_as_loader
    def load(self, path, end_of_epoch):
        del end_of_epoch
        is_same = Path(path).read_text(encoding="utf-8") == self.digest
        if not is_same and processes.rank() == 0:
            logger.warning(
                "The training utterances are not those of the run that goes on from %s: "
                "for a new run give another --out_dir",
                Path(path).parent,
            )
