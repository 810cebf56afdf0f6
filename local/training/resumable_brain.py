"""A SpeechBrain Brain for many processes and interrupted runs."""

import functools
import json
import logging
import time
import warnings
from pathlib import Path

import speechbrain as sb
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from torch.nn.parallel import DistributedDataParallel

from local.machine import processes
from local.machine.signals import Stopped, StopSignals
from local.training.sync_norm import synchronised

logger = logging.getLogger(__name__)


@functools.partial(register_checkpoint_hooks, save_on_main_only=False)
class ResumableBrain(sb.Brain):
    """A Brain that goes on where it was stopped, also inside an epoch, on any number of processes.

    Checkpoints inside an epoch come after a whole update, every ckpt_interval_minutes or
    ckpt_interval_steps (batches), and when a signal asks the run to stop.

    Its checkpointer is a `WholeCheckpointer`; its train_sampler an `EndlessShuffle`; of its hparams
    it takes epoch_counter and sync_batch_norm, which says whether batch norm sees the batches of
    all processes.
    """

    def __init__(self, **brain_arguments):
        super().__init__(**brain_arguments)
        self.signals = StopSignals()
        self._trained = None

    def fit(self, *args, **kwargs):
        """SpeechBrain's training; see `local.machine.signals` for what stops it.

        Raises
        ------
        Stopped
            After a signal, when a checkpoint is written.
        """
        with self.signals:
            super().fit(*args, **kwargs)

    # Several processes

    def _wrap_distributed(self):
        """In place of SpeechBrain's for many processes: batch norm by setting, and on CPUs, too."""
        if not self.distributed_launch:
            super()._wrap_distributed()
        if processes.num_processes() == 1:
            return
        # Of einsum's gradients: copying them costs nothing.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        sync = self.hparams.sync_batch_norm
        for name, module in self.modules.items():
            if any(parameter.requires_grad for parameter in module.parameters()):
                self.modules[name] = DistributedDataParallel(
                    synchronised(module, self.device) if sync else module,
                    device_ids=[self.device] if self.device_type == "cuda" else None,
                    # On CPUs it has another use, though torch warns that none was found: without
                    # it the order in which gradients are summed changes after a first step, and
                    # a resumed run of three processes would differ in the last bits.
                    find_unused_parameters=self.find_unused_parameters or self.device == "cpu",
                    # Synchronised ones are equal anyway.
                    broadcast_buffers=not sync,
                    # With very many speakers, their gradients are most of the memory.
                    gradient_as_bucket_view=True,
                )

    def fit_batch(self, batch):
        """SpeechBrain's step; the loss is the mean over all processes."""
        loss = super().fit_batch(batch)
        if processes.num_processes() == 1:
            return loss
        return processes.mean(loss.to(self.device)).cpu()

    # Stopping and going on

    def on_stage_start(self, stage, epoch=None):
        if stage == sb.Stage.TRAIN:
            self._trained = None
            self.train_sampler.first_batch = self.step

    def on_stage_end(self, stage, stage_loss, epoch=None):
        if stage == sb.Stage.TRAIN:
            # SpeechBrain forgets it now; a checkpoint during validation needs it.
            self._trained = self.progress()

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time, steps_since_ckpt):
        """Called by SpeechBrain after each batch: ends the run here if a signal asks for it.

        Between the batches of an update there are gradients, which no checkpoint has.
        """
        if self.step % self.grad_accumulation_factor:
            return False
        minutes = (time.time() - last_ckpt_time) / 60.0
        is_due = 0 < self.ckpt_interval_minutes < minutes
        is_due = is_due or 0 < self.ckpt_interval_steps <= steps_since_ckpt
        return self.stop_if_asked(is_due)

    def stop_if_asked(self, checkpoint_is_due=False):
        """Writes a checkpoint and raises Stopped, if a signal came to any of the processes.

        To be called by all of them at the same place; returns whether for any a checkpoint is due.
        """
        # One exchange for both: the signals have numbers above 1.
        number = processes.highest(int(self.signals.caught or checkpoint_is_due), self.device)
        if number <= 1:
            return bool(number)
        self._save_intra_epoch_ckpt()
        raise Stopped(
            number,
            f"Stopped in epoch {self.hparams.epoch_counter.current} after {self.optimizer_step} "
            f"updates; the checkpoint is in {self.checkpointer.checkpoints_dir}.\n"
            "The same command goes on from there.",
        )

    def _save_intra_epoch_ckpt(self):
        self.checkpointer.save_and_clear_up({"updates": self.optimizer_step}, end_of_epoch=False)

    def progress(self):
        """What an interrupted epoch goes on from, as JSON can hold it."""
        return {
            "updates_of_epoch": self.step // self.grad_accumulation_factor,
            "avg_train_loss": self.avg_train_loss,
        }

    def set_progress(self, progress):
        """Goes on from `progress`, in all processes."""
        self.step = progress["updates_of_epoch"] * self.grad_accumulation_factor
        self.avg_train_loss = progress["avg_train_loss"]

    def circumstances(self):
        """What may change from one start of a run to the next, without stopping it."""
        own = self.train_sampler.batch_size
        together = own * processes.num_processes()
        return {
            "processes": processes.num_processes(),
            "chunks of an update": together * self.grad_accumulation_factor,
            "chunks of batch norm": together if self.hparams.sync_batch_norm else own,
        }

    @mark_as_saver
    def _save(self, path):
        content = {
            "optimizer_step": self.optimizer_step,
            "progress": self._trained or self.progress(),
            "circumstances": self.circumstances(),
        }
        if processes.rank() == 0:
            Path(path).write_text(json.dumps(content), encoding="utf-8")

    @mark_as_loader
    def _recover(self, path, end_of_epoch):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        self.optimizer_step = content["optimizer_step"]
        if not end_of_epoch:
            self.set_progress(content["progress"])
        if processes.rank() == 0:
            logger.info(f"Going on after {self.optimizer_step} updates, from {Path(path).parent}")
            self._say_changes(content["circumstances"])

    def _say_changes(self, before):
        for name, now in self.circumstances().items():
            if before[name] != now:
                logger.warning(f"{name}: {now} from now on, {before[name]} before")
