"""A Brain that keeps the best model: validations in, model files and the train log out."""

import logging
from itertools import chain

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from local.machine import processes
from local.model_files import model_dir
from local.training.out_of_memory import VALIDATION_ADVICE, explained, training_advice
from local.training.resumable_brain import ResumableBrain
from local.training.schedules import check_cycle, go_to

logger = logging.getLogger(__name__)


class SelectingBrain(ResumableBrain):
    """Validates after each epoch, and keeps the model with the lowest EER.

    With an average_decay in the hparams, what is validated and kept is the moving average of the
    extractor's weights.

    A subclass defines `measure`, and what sb.Brain asks for.

    Arguments
    ---------
    num_speakers : int
        In the training data.
    make_schedule : callable
        The optimizer and the number of updates to a learning-rate schedule: see
        `local.training.schedules`.
    train_log : local.training.train_log.TrainLog
    brain_arguments
        As for ResumableBrain; the modules extractor and classifier are kept.
    """

    def __init__(self, num_speakers, make_schedule, train_log, **brain_arguments):
        super().__init__(**brain_arguments)
        self.num_speakers = num_speakers
        self._make_schedule = make_schedule
        self.train_log = train_log
        batches = self.hparams.number_of_epochs * self.train_sampler.batches_per_epoch
        self.total_updates = batches // self.grad_accumulation_factor
        self.position = 0  # of the schedules, in updates of the total_updates; with minutes a float
        self.average = None
        if self.hparams.average_decay:
            self.average = moving_average(self.modules.extractor)
            self.checkpointer.add_recoverable("average", self.average)

    def measure(self, valid_set, show_progress):
        """Validates the `kept_extractor`; called in all processes.

        Returns
        -------
        results : dict
            eer_percent, and what else is to be kept with the weights.
        """
        raise NotImplementedError

    def train_figures(self):
        """Name -> number of the last epoch, for the train log."""
        return {"loss": self.train_stats["train_loss"]}

    @property
    def kept_extractor(self):
        """What is validated and kept: the moving average, where there is one."""
        if self.average is not None:
            return self.average.module
        return unwrapped(self.modules.extractor)

    def fit(self, *args, **kwargs):
        """Trains; an InputError says what to change if memory runs out."""
        parts = self.grad_accumulation_factor, self.synchronises_batch_norm
        with explained(lambda: training_advice(self.hparams.batch_size, *parts)):
            super().fit(*args, **kwargs)

    def init_optimizers(self):
        super().init_optimizers()
        self.lr_schedule = self._make_schedule(self.optimizer, self.total_updates)
        self.checkpointer.add_recoverable("lr_schedule", self.lr_schedule)

    def on_fit_start(self):
        super().on_fit_start()
        check_cycle(self.lr_schedule, self.total_updates)
        self.position = self._position()
        if processes.rank() == 0:
            # Only now: a run that is refused leaves the definition of the model that is there.
            model_dir.save_config(self.hparams.out_dir, self.num_speakers)
            self._log_plan()
        if processes.on_first(lambda: not self.checkpointer.list_checkpoints()):
            # Before anything else: models and logs without a checkpoint are another run's.
            self.checkpointer.save_and_clear_up({"updates": 0}, end_of_epoch=True)
        self.train_log.open()

    def _position(self):
        if self.clock.minutes is None:
            return self.optimizer_step
        # The same in all processes, whose clocks differ.
        millionths = processes.highest(int(1e6 * self.clock.share))
        return 1e-6 * millionths * self.total_updates

    def epoch_is_over(self):
        """With minutes, an epoch is as long as the others, and has at least one update."""
        if self.clock.minutes is None or not self.step or self.step % self.grad_accumulation_factor:
            return False
        counter = self.hparams.epoch_counter
        return self.position * self.hparams.number_of_epochs >= counter.current * self.total_updates

    def _log_plan(self):
        now = self.parallelism()
        minutes = self.clock.minutes
        length = f"{self.total_updates} updates" if minutes is None else f"{minutes:g} minutes"
        logger.info(
            f"{now['processes']} processes: {now['chunks of an update']} chunks in an update "
            f"(batch_size {self.hparams.batch_size}), {now['chunks of batch norm']} in a batch "
            f"norm. Learning rate {self.hparams.lr:g}, {length} in at most "
            f"{self.hparams.number_of_epochs} epochs."
        )

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        if not should_step:
            return
        self.position = self._position()
        go_to(self.lr_schedule, self.position)
        if self.average is not None:
            decay = decay_after(self.optimizer_step, self.hparams.average_decay)
            follow(self.average, self.modules.extractor, decay)

    def validate(self, valid_set, epoch, show_progress):
        """Measures the model, adapts the learning rate, and keeps the model if it is the best."""
        processes.copy_buffers(self.kept_extractor)
        with explained(lambda: VALIDATION_ADVICE):
            results = self.measure(valid_set, show_progress)
        eer_percent = results["eer_percent"]
        lr = self.optimizer.param_groups[0]["lr"]
        if isinstance(self.lr_schedule, ReduceLROnPlateau):
            self.lr_schedule.step(eer_percent)
        counter = self.hparams.epoch_counter
        counter.update_metric(eer_percent)
        # Before the checkpoint: what is interrupted in between is done again.
        self.train_log.log(
            epoch,
            {"updates": self.optimizer_step, "lr": lr},
            self.train_figures(),
            {"EER_percent": eer_percent},
        )
        if counter.best_limit == epoch and processes.rank() == 0:
            self._save_best(results | {"epoch": epoch})
        meta = {"eer_percent": eer_percent, "epoch": epoch}
        self.checkpointer.save_and_clear_up(meta, end_of_epoch=True)

    def _save_best(self, results):
        content = {
            "extractor": self.kept_extractor.state_dict(),
            "classifier": unwrapped(self.modules.classifier).state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.optimizer_step,
            # The classifier may have more than that: other voices of a speaker count as others.
            "num_speakers": self.num_speakers,
        }
        path = model_dir.save_weights(self.hparams.out_dir, content | results)
        logger.info(f"Lowest EER so far, {results['eer_percent']:.2f} %: {path}")


def moving_average(module):
    """A copy of a module for the moving average of its weights: an AveragedModel.

    `follow` is to be called after each update.
    """
    return AveragedModel(module, use_buffers=True).requires_grad_(False).eval()


@torch.no_grad()
def follow(average, module, decay):
    """Updates a moving average: its first weights are those of the module, later ones a mixture.

    AveragedModel's own `update_parameters` does the same, but copies its counter to the device for
    each type of tensors, and waits until that has done all that it has to do.

    Arguments
    ---------
    average : AveragedModel
        From `moving_average`.
    module : torch.nn.Module
        Perhaps wrapped by DistributedDataParallel.
    decay : float
        The share of the average that stays.
    """
    mix = get_ema_multi_avg_fn(decay if average.n_averaged else 0.0)
    by_type = {}
    for own, new in zip(_state(average.module), _state(module), strict=True):
        owns, news = by_type.setdefault(own.dtype, ([], []))
        owns.append(own)
        news.append(new)
    for owns, news in by_type.values():
        mix(owns, news, None)
    average.n_averaged += 1


def _state(module):
    return chain(module.parameters(), module.buffers())


def decay_after(num_updates, decay):
    """The share of a moving average that an update keeps: less in the beginning.

    Otherwise, the first validations would be of weights that have hardly been trained.

    Example
    -------
    >>> [round(decay_after(num_updates, 0.995), 3) for num_updates in (0, 10, 100, 10000)]
    [0.1, 0.55, 0.918, 0.995]
    """
    return min(decay, (1 + num_updates) / (10 + num_updates))


def unwrapped(module):
    """The module itself, without what DistributedDataParallel and torch.compile put around it."""
    module = getattr(module, "module", module)
    return getattr(module, "_orig_mod", module)
