#!/usr/bin/env python3
"""Trains a VGG speaker embedding extractor as a classifier of the training speakers.

    python recipes/train_vgg.py hparams/vgg.yaml [--preset FILE] [--key value ...]

    torchrun --standalone --nproc_per_node=4 recipes/train_vgg.py hparams/vgg.yaml ...

The best model is the one with the lowest equal error rate on the validation trials. The same
command goes on where an interrupted run stopped, also with another number of processes.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "vgg.yaml")

import logging

import speechbrain as sb
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from local.atomic import writing
from local.data import preparation
from local.data.chunks import cut_features, training_loader
from local.embeddings.embed import embed_share, utterance_loader
from local.errors import InputError
from local.evaluation.metrics import eer
from local.machine import processes, runtime
from local.machine.run_lock import lock_folder
from local.model_files import model_dir
from local.scoring.cosine import cosine_scores
from local.training import checkpoints
from local.training.fine_tuning import begin_with
from local.training.resumable_brain import ResumableBrain
from local.training.schedules import check_one_cycle, one_cycle
from local.training.speed import Speedometer, peak_utterances
from local.training.train_log import TrainLog

logger = logging.getLogger(__name__)

CHOICES = {
    "lr_schedule": ("one_cycle", "plateau"),
    "normalize_over": ("chunk", "utterance"),
    "train_on": ("audio", "features"),
}


class SpeakerBrain(ResumableBrain):
    """Trains on chunks of the training speakers, validates by EER on whole utterances.

    Arguments
    ---------
    trials : local.lists.trials.Trials
        For validation; the valid_set gives its utterances.
    num_speakers : int
        In the training data.
    updates_per_epoch : int
        Optimizer steps.
    train_log : local.training.train_log.TrainLog
    modules, opt_class, hparams, run_opts, checkpointer
        As for sb.Brain; modules: features, extractor and classifier.
    """

    def __init__(self, trials, num_speakers, updates_per_epoch, train_log, **brain_arguments):
        super().__init__(**brain_arguments)
        self.trials = trials
        self.num_speakers = num_speakers
        self.train_log = train_log
        self.checkpointer.add_recoverable("train_log", train_log)
        self.total_updates = self.hparams.number_of_epochs * updates_per_epoch
        self.one_cycle = None
        self.speed = None
        self.average = None
        self._counts = (0, 0)
        if self.hparams.average_decay:
            self.average = self._make_average()

    def _make_average(self):
        """The moving average of the extractor's weights; not a module, as it is not trained."""
        average = AveragedModel(
            self.modules.extractor,
            multi_avg_fn=get_ema_multi_avg_fn(self.hparams.average_decay),
            use_buffers=True,
        )
        self.checkpointer.add_recoverable("average", average)
        return average.requires_grad_(False).eval()

    @property
    def chosen_extractor(self):
        """What is validated and kept: the average, where there is one."""
        if self.average is not None:
            return self.average.module
        return unwrapped(self.modules.extractor)

    # Training

    def compute_forward(self, batch, stage):
        """A batch of Chunks to the cosines with each speaker: (batch, num_speakers)."""
        batch = batch.to(self.device)
        features, num_frames = self.modules.features(batch.waveforms, batch.lengths)
        if batch.starts is not None:
            chunk_frames = self.modules.features.num_frames(self.hparams.chunk_samples)
            features = cut_features(features, num_frames, batch.starts, chunk_frames)
        if stage == sb.Stage.TRAIN:
            features = self.hparams.feature_masking(features)
        return self.modules.classifier(self.modules.extractor(features))

    def compute_objectives(self, predictions, batch, stage):
        """Margin softmax; counts the chunks whose speaker has the highest cosine."""
        labels = batch.labels.to(self.device)
        # Counted on the device: reading the number would wait for it at each step.
        self.num_correct += (predictions.argmax(dim=1) == labels).sum()
        self.num_chunks += len(labels)
        return self.hparams.loss(predictions, labels)

    def fit_batch(self, batch):
        """SpeechBrain's step; ends the training when the loss is not finite: it stays so."""
        with self.speed.step(len(batch.labels)):
            loss = super().fit_batch(batch)
        if not torch.isfinite(loss):
            raise InputError(
                f"The loss is {loss.item()} after {self.optimizer_step} updates. Lower the "
                "learning rate (--lr), or train in float32 (--precision fp32); the same command "
                f"goes on from the last checkpoint in {self.checkpointer.checkpoints_dir}."
            )
        return loss

    def check_loss_isfinite(self, loss):
        """Nothing: `fit_batch` looks at the loss. Here a GPU would have to finish first."""

    def on_fit_batch_start(self, batch, should_step):
        self.hparams.loss.set_step(self.optimizer_step, self.total_updates)

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        if not should_step:
            return
        if self.one_cycle is not None:
            self.one_cycle.step()
        if self.average is not None:
            self.average.update_parameters(self.modules.extractor)

    def init_optimizers(self):
        super().init_optimizers()
        if self.hparams.lr_schedule == "one_cycle":
            self.one_cycle = one_cycle(
                self.optimizer,
                self.hparams.lr,
                self.total_updates,
                self.hparams.lr_rise,
                self.hparams.lr_final_division,
            )
            self.checkpointer.add_recoverable("one_cycle", self.one_cycle)

    def on_fit_start(self):
        # Before the random state is recovered, which it makes use of.
        self.speed = self._make_speedometer()
        super().on_fit_start()
        if self.one_cycle is not None:
            check_one_cycle(self.one_cycle, self.total_updates)
        self.train_log.open(is_new=self.optimizer_step == 0)
        if processes.rank() == 0:
            # Only now: a run that is refused leaves the definition of the model that is there.
            model_dir.save_config(self.hparams.out_dir, self.num_speakers)
            self._say_plan()

    def _say_plan(self):
        now = self.circumstances()
        logger.info(
            f"{now['processes']} processes: {now['chunks of an update']} chunks in an update "
            f"(batch_size {self.hparams.batch_size}), {now['chunks of batch norm']} in a batch "
            f"norm. Learning rate {self.hparams.lr:g}, {self.total_updates} updates in at most "
            f"{self.hparams.number_of_epochs} epochs."
        )

    def _make_speedometer(self):
        features = self.modules.features
        num_frames = features.num_frames(self.hparams.chunk_samples)
        return Speedometer(
            self.hparams.chunk_samples / self.hparams.sample_rate,
            peak_utterances(self.chosen_extractor, num_frames, features.num_mels, self.device),
            processes.num_processes(),
        )

    def progress(self):
        return super().progress() | {
            "num_correct": processes.total(int(self.num_correct), self.device),
            "num_chunks": processes.total(self.num_chunks, self.device),
        }

    def set_progress(self, progress):
        super().set_progress(progress)
        # Counts of all processes: taken over by one.
        if processes.rank() == 0:
            self._counts = progress["num_correct"], progress["num_chunks"]

    def on_stage_start(self, stage, epoch=None):
        super().on_stage_start(stage, epoch)
        num_correct, self.num_chunks = self._counts
        self._counts = (0, 0)
        self.num_correct = torch.tensor(num_correct, device=self.device)
        self.speed.start_epoch()

    def on_stage_end(self, stage, stage_loss, epoch=None):
        super().on_stage_end(stage, stage_loss, epoch)
        counts = self._trained
        accuracy = 100 * counts["num_correct"] / max(1, counts["num_chunks"])
        self.train_stats = {"loss": stage_loss, "accuracy_percent": accuracy}
        # A run that was stopped in a validation goes on there, without a step.
        if processes.rank() == 0 and self.speed.utterances_per_second:
            logger.info(f"Epoch {epoch}: {self.speed}")

    # Validation

    def _fit_valid(self, valid_set, epoch, enable):
        """In place of SpeechBrain's, which would have each process embed everything."""
        processes.copy_buffers(self.chosen_extractor)
        indices, embeddings = embed_share(
            self.modules.features,
            self.chosen_extractor,
            valid_set,
            self.device,
            self.eval_precision,
            progress=enable,
            is_over=lambda: self.signals.caught,
        )
        self.stop_if_asked()
        embeddings = processes.gather_rows(
            indices, embeddings, len(self.trials.utterances), self.device
        )
        self._after_validation(epoch, processes.on_first(lambda: self._eer_percent(embeddings)))

    def _eer_percent(self, embeddings):
        scores = cosine_scores(embeddings, self.trials)
        return float(100 * eer(scores, self.trials.is_client)[0])

    def _after_validation(self, epoch, eer_percent):
        lr = self.optimizer.param_groups[0]["lr"]
        self._adapt_learning_rate(epoch, eer_percent)
        counter = self.hparams.epoch_counter
        counter.update_metric(eer_percent)
        # Before the checkpoint: what is interrupted in between is done again.
        self.train_log.log(
            epoch,
            {"updates": self.optimizer_step, "lr": lr},
            self.train_stats,
            {"EER_percent": eer_percent},
        )
        if counter.best_limit == epoch and processes.rank() == 0:
            self._save_best(epoch, eer_percent)
        meta = {"eer_percent": eer_percent, "epoch": epoch}
        self.checkpointer.save_and_clear_up(meta, end_of_epoch=True)

    def _adapt_learning_rate(self, epoch, eer_percent):
        if self.hparams.lr_schedule == "plateau":
            _, lr = self.hparams.lr_plateau([self.optimizer], epoch, eer_percent)
            sb.nnet.schedulers.update_learning_rate(self.optimizer, lr)

    def _save_best(self, epoch, eer_percent):
        content = {
            "extractor": self.chosen_extractor.state_dict(),
            "classifier": unwrapped(self.modules.classifier).state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.optimizer_step,
            "epoch": epoch,
            "eer_percent": eer_percent,
        }
        path = model_dir.save_weights(self.hparams.out_dir, content)
        logger.info(f"Lowest EER so far, {eer_percent:.2f} %: {path}")


def unwrapped(module):
    """The module itself, without what DistributedDataParallel and torch.compile put around it."""
    module = getattr(module, "module", module)
    return getattr(module, "_orig_mod", module)


def make_brain(hparams, run_opts, prepared, train_sampler):
    """The Brain with its model, classifier and checkpointer."""
    classifier = hparams["classifier"](num_speakers=prepared.train.num_speakers)
    checkpointer = hparams["checkpointer"](
        recoverables={
            "extractor": hparams["extractor"],
            "classifier": classifier,
            "epoch_counter": hparams["epoch_counter"],
            "lr_plateau": hparams["lr_plateau"],
            "random_states": checkpoints.RandomStates(),
            "training_data": checkpoints.TrainingData(prepared.train.path),
        }
    )
    brain = SpeakerBrain(
        trials=prepared.trials,
        num_speakers=prepared.train.num_speakers,
        updates_per_epoch=len(train_sampler) // hparams["grad_accumulation_factor"],
        train_log=TrainLog(hparams["train_logger"], hparams["tensorboard_logger"]),
        modules={
            "features": hparams["log_mel"],
            "extractor": hparams["extractor"],
            "classifier": classifier,
        },
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=checkpointer,
    )
    brain.train_sampler = train_sampler
    return brain


def check_choices(hparams):
    """Refuses settings that are none of their `CHOICES`."""
    for name, choices in CHOICES.items():
        if hparams[name] not in choices:
            raise InputError(f"{name} is {' or '.join(choices)}, not {hparams[name]!r}")


def make_out_dir(out_dir, yaml_path, overrides):
    """SpeechBrain's experiment directory: logs, hyperparameters, a copy of this script."""
    processes.on_first(lambda: lock_folder(out_dir))
    with writing(out_dir):
        sb.create_experiment_directory(out_dir, yaml_path, overrides)


def begin(hparams):
    """Takes over the weights of init_from, if this is not a run that goes on."""
    out_dir = Path(hparams["out_dir"])
    if hparams["init_from"] and not any((out_dir / "save").glob("CKPT*")):
        begin_with(hparams["init_from"], hparams["extractor"], out_dir / "hyperparams.yaml")


def prepare_data(hparams):
    """The manifests and trials, made by the first process."""
    settings = {name: hparams[name] for name in preparation.SETTINGS}
    prepared = processes.on_first(lambda: preparation.prepare(**settings))
    processes.check_shared(prepared.train.path)
    return prepared


def report(hparams):
    """Says where the best model is and what to do with it."""
    out_dir = Path(hparams["out_dir"])
    counter = hparams["epoch_counter"]
    logger.info(
        f"Lowest EER on the trials: {counter.best_score:.2f} % after epoch {counter.best_limit}.\n"
        f"The model: {model_dir.weight_files(out_dir)[-1]}\n"
        f"Verify with: python {ROOT / 'recipes' / 'verify.py'} {ROOT / 'hparams' / 'verify.yaml'} "
        f"--model_dir {out_dir} --output_dir {out_dir / 'verification'} "
        + " ".join(
            f"--{name} {hparams[name]}"
            for name in ("valid_data_dir", "valid_clients", "valid_impostors")
        )
    )


def set_up(arguments):
    """Everything up to the first step.

    Arguments
    ---------
    arguments : list of str
        Of the command line.

    Returns
    -------
    brain : SpeakerBrain
    train_loader, valid_loader : torch.utils.data.DataLoader
    hparams : dict
    """
    yaml_path, hparams, run_opts, overrides = command_line.load_hparams(arguments)
    check_choices(hparams)
    run_opts = processes.join_processes(run_opts)
    device = run_opts.device
    for name in ("precision", "eval_precision"):
        hparams[name] = runtime.precision(hparams[name], device)
    if "ckpt_interval_steps" in run_opts.overridden_args:
        hparams["ckpt_interval_minutes"] = 0  # SpeechBrain takes only one of them
    make_out_dir(hparams["out_dir"], yaml_path, overrides)
    begin(hparams)
    prepared = prepare_data(hparams)
    train_loader = training_loader(hparams, prepared.train, device)
    valid_loader = utterance_loader(
        prepared.valid.path,
        hparams["sample_rate"],
        hparams["valid_batch_seconds"],
        runtime.num_reading_workers(hparams["num_workers"], device),
    )
    brain = make_brain(hparams, run_opts, prepared, train_loader.batch_sampler)
    if processes.rank() > 0:
        # The network begins as the same one everywhere; what is drawn from now on is not the same.
        sb.utils.seed.seed_everything(hparams["seed"] + processes.rank(), verbose=False)
    return brain, train_loader, valid_loader, hparams


def main(arguments):
    """Prepares the data, trains, and says where the best model is."""
    runtime.keep_freed_memory()
    brain, train_loader, valid_loader, hparams = set_up(arguments)
    brain.fit(hparams["epoch_counter"], train_loader, valid_loader)
    if processes.rank() == 0:
        report(hparams)


if __name__ == "__main__":
    command_line.run(main)
