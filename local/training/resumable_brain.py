"""A SpeechBrain Brain for many processes and interrupted runs: batches in, checkpoints out."""

import functools
import json
import logging
import time
from pathlib import Path

import speechbrain as sb
import torch
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)

from local.machine import processes
from local.machine.signals import Stopped, StopSignals
from local.training.clock import Clock
from local.training.distributed import share_gradients
from local.training.late_means import LateMeans, check_finite
from local.training.speed import Speedometer

logger = logging.getLogger(__name__)


@functools.partial(register_checkpoint_hooks, save_on_main_only=False)
class ResumableBrain(sb.Brain):
    """A Brain that goes on where it was stopped, also inside an epoch, on any number of processes.

    Checkpoints inside an epoch come after a whole update, every ckpt_interval_minutes or
    ckpt_interval_steps (batches), and when a signal asks the run to stop.

    Everything that overrides a private method of SpeechBrain stands in this class. A subclass
    defines `compute_forward`, `compute_objectives` and `validate`.

    A step reads nothing of the device but the `step_numbers` of the step before, which are
    averaged over an epoch, by the names in `averaged`.

    Arguments
    ---------
    train_sampler : local.data.sampling.EndlessShuffle
        Of the training batches.
    chunk_seconds : float
        The length of a training chunk; for the log.
    brain_arguments
        As for sb.Brain. The checkpointer is a `WholeCheckpointer`; of the hparams, epoch_counter,
        minutes and sync_batch_norm are used here.
    """

    averaged = ("train_loss",)

    def __init__(self, train_sampler, chunk_seconds, **brain_arguments):
        super().__init__(**brain_arguments)
        self.train_sampler = train_sampler
        self.signals = StopSignals()
        self.speed = Speedometer(chunk_seconds, processes.num_processes())
        self.clock = Clock(self.hparams.minutes)
        self.means = LateMeans(self.averaged)
        self._progress_of_epoch = None

    def fit(self, *args, **kwargs):
        """SpeechBrain's training; see `local.machine.signals` for what stops it.

        Raises
        ------
        Stopped
            After a signal, when a checkpoint is written.
        """
        with self.signals:
            super().fit(*args, **kwargs)

    def validate(self, valid_set, epoch, show_progress):
        """What comes between two epochs; called in all processes."""
        raise NotImplementedError

    def _fit_valid(self, valid_set, epoch, enable):
        """SpeechBrain's has every process go through the whole valid_set, batch by batch."""
        self.validate(valid_set, epoch, enable)

    def on_fit_start(self):
        super().on_fit_start()
        self.clock.start()
        if self.optimizer_step_limit is None:  # then only an epoch ends, which is nothing to log
            core_logger = logging.getLogger("speechbrain.core")
            core_logger.addFilter(lambda record: "limit exceeded" not in record.getMessage())

    def epoch_is_over(self):
        """Whether an epoch ends before its last batch; asked before each, in all processes."""
        return False

    @property
    def _optimizer_step_limit_exceeded(self):
        """SpeechBrain's, asked after each epoch, too, ends the training."""
        is_training = self._progress_of_epoch is None
        return super()._optimizer_step_limit_exceeded or (is_training and self.epoch_is_over())

    # Steps

    def fit_batch(self, batch):
        """A step; the numbers of the step before are averaged when it is on its way.

        Raises an InputError if its loss was not finite: it would not become finite again.
        """
        with self.speed.step(self.train_sampler.batch_size):
            numbers = self.queue_step(batch.to(self.device))
            self._check(self.means.add(self.step, numbers))

    def queue_step(self, batch):
        """SpeechBrain's fit_batch, which would wait for the loss.

        Returns the `step_numbers` as means over all processes: a tensor on the device.
        """
        should_step = self.step % self.grad_accumulation_factor == 0
        self.on_fit_batch_start(batch, should_step)
        with self.no_sync(not should_step):
            with self.training_ctx:
                outputs = self.compute_forward(batch, sb.Stage.TRAIN)
                loss = self.compute_objectives(outputs, batch, sb.Stage.TRAIN)
            self.scaler.scale(loss / self.grad_accumulation_factor).backward()
        if should_step:
            self.optimizers_step()
        self.on_fit_batch_end(batch, outputs, loss, should_step)
        with torch.no_grad():
            return processes.mean(torch.stack(self.step_numbers(outputs, loss, batch)))

    def step_numbers(self, outputs, loss, batch):
        """What a step counts for each name in `averaged`: a list of tensors without dimensions."""
        return [loss]

    def _check(self, numbers):
        folder = self.checkpointer.checkpoints_dir
        check_finite(numbers[:1], self.optimizer_step, folder)

    def update_average(self, loss, avg_loss):
        """SpeechBrain's, called after each step for its progress bar, would read the loss."""
        return self.means.values["train_loss"]

    def _wrap_distributed(self):
        """SpeechBrain's synchronises batch norm whether one wants it or not, which CPUs can't."""
        if not self.distributed_launch:
            super()._wrap_distributed()
        if processes.num_processes() > 1:
            options = self.synchronises_batch_norm, self.find_unused_parameters
            share_gradients(self.modules, self.device, *options)

    @property
    def synchronises_batch_norm(self):
        """Whether batch norm sees the chunks of all processes; torch can do that on GPUs only."""
        return self.hparams.sync_batch_norm and self.device_type == "cuda"

    def parallelism(self):
        """What may change from one start of a run to the next, without stopping it."""
        own = self.train_sampler.batch_size
        together = own * processes.num_processes()
        return {
            "processes": processes.num_processes(),
            "chunks of an update": together * self.grad_accumulation_factor,
            "chunks of batch norm": together if self.synchronises_batch_norm else own,
        }

    # Stopping and going on

    def on_stage_start(self, stage, epoch=None):
        if stage == sb.Stage.TRAIN:
            self._progress_of_epoch = None
            self.train_sampler.first_batch = self.step
            self.speed.start_epoch()

    def on_stage_end(self, stage, stage_loss, epoch=None):
        if stage == sb.Stage.TRAIN:
            # SpeechBrain forgets it now; a checkpoint during validation needs it.
            self._progress_of_epoch = self.progress()
            self.train_stats, self.means = self.means.values, LateMeans(self.averaged)
            # A run that was stopped in a validation goes on there, without a step.
            if processes.rank() == 0 and self.speed.utterances_per_second:
                logger.info(f"Epoch {epoch}: {self.speed}")

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time, steps_since_ckpt):
        """SpeechBrain's asks after each batch, and has no way to stop a run.

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
        number = processes.highest(int(self.signals.caught or checkpoint_is_due))
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
        """SpeechBrain's keeps one checkpoint only, whatever its EER."""
        self.checkpointer.save_and_clear_up({"updates": self.optimizer_step}, end_of_epoch=False)

    def progress(self):
        """What an interrupted epoch goes on from, as JSON can hold it."""
        with self.speed.step(0):
            self._check(self.means.finish())
        means = {f"avg_{name}": mean for name, mean in self.means.values.items()}
        return {"updates_of_epoch": self.step // self.grad_accumulation_factor} | means

    def set_progress(self, progress):
        """Goes on from `progress`, in all processes."""
        self.step = progress["updates_of_epoch"] * self.grad_accumulation_factor
        self.means.values = {name: progress[f"avg_{name}"] for name in self.averaged}

    @mark_as_saver
    def _save(self, path):
        """SpeechBrain's keeps batches, whose number changes with that of the processes."""
        content = {
            "optimizer_step": self.optimizer_step,
            "seconds": self.clock.seconds,
            "progress": self._progress_of_epoch or self.progress(),
            "parallelism": self.parallelism(),
        }
        if processes.rank() == 0:
            Path(path).write_text(json.dumps(content), encoding="utf-8")

    @mark_as_loader
    def _recover(self, path, end_of_epoch):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        self.optimizer_step = content["optimizer_step"]
        self.clock.start(content.get("seconds", 0.0))
        if not end_of_epoch:
            self.set_progress(content["progress"])
        if processes.rank() == 0:
            logger.info(f"Going on after {self.optimizer_step} updates, from {Path(path).parent}")
            for name, now in self.parallelism().items():
                before = content["parallelism"][name]
                if before != now:
                    logger.warning(f"{name}: {now} from now on, {before} before")
