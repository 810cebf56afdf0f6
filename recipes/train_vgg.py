#!/usr/bin/env python3
"""Trains a VGG speaker embedding extractor as a classifier of the training speakers.

    python recipes/train_vgg.py hparams/vgg.yaml [--preset FILE] [--key value ...] [--dry_run]

    torchrun --standalone --nproc_per_node=4 recipes/train_vgg.py hparams/vgg.yaml ...

The best model is the one with the lowest EER on the trials. The same command goes on where a run
stopped. With --dry_run, the data are checked, and what a training takes is printed.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "vgg.yaml")

import logging
from functools import partial

import speechbrain as sb

from local.atomic import writing
from local.corpora import demo
from local.data.overlap import have_same_speakers
from local.embeddings.embed import embed_share
from local.evaluation.metrics import eer
from local.evaluation.warnings import collapse_warning
from local.features.cutting import cut_features
from local.machine import processes, runtime
from local.machine.rows import gather_rows
from local.scoring.cosine import cosine_scores
from local.training import checkpoints, costs
from local.training.closing import closing_words
from local.training.earlier_run import claim_out_dir, is_finished
from local.training.initial_weights import load_initial_weights, make_classifier
from local.training.random_states import RandomStates
from local.training.schedules import chosen
from local.training.selecting_brain import SelectingBrain
from local.training.train_log import TrainLog

logger = logging.getLogger(__name__)

# Between checkpoints inside an epoch, if SpeechBrain's run options say nothing else.
CKPT_INTERVAL_MINUTES = 15


class SpeakerBrain(SelectingBrain):
    """Trains on chunks of the training speakers, validates by EER on whole utterances.

    Nothing of a training step reads from the device: tests/training/test_on_a_gpu.py.

    Arguments
    ---------
    trials : local.lists.trials.Trials
        For validation; the valid_set gives its utterances.
    brain_arguments
        As for SelectingBrain; modules: features, extractor and classifier.
    """

    averaged = ("train_loss", "accuracy")

    def __init__(self, trials, **brain_arguments):
        super().__init__(**brain_arguments)
        self.trials = trials
        self.trials_digest = trials.digest()

    # Training

    def compute_forward(self, batch, stage):
        """Chunks, moved to the device, to the cosines with each speaker: (batch, num_speakers)."""
        augmented = stage == sb.Stage.TRAIN and batch.draws is not None
        waveforms = batch.waveforms
        if augmented:
            waveforms = self.modules.augmentation.waveforms(waveforms, batch.draws)
        features, num_frames = self.modules.features(waveforms, batch.lengths)
        if batch.starts is not None:
            chunk_frames = self.modules.features.num_frames(self.hparams.chunk_samples)
            features = cut_features(features, num_frames, batch.starts, chunk_frames)
        if augmented:
            features = self.modules.augmentation.features(features, batch.draws)
        if stage == sb.Stage.TRAIN:
            features = self.hparams.feature_masking(features)
        return self.modules.classifier(self.modules.extractor(features))

    def compute_objectives(self, predictions, batch, stage):
        """The cosines of the chunks to the margin softmax loss."""
        loss, labels = self.hparams.loss, batch.labels
        if batch.draws is None:
            return loss(predictions, labels)
        return self.modules.augmentation.loss(loss, predictions, labels, batch.draws)

    def on_fit_batch_start(self, batch, should_step):
        self.hparams.loss.set_step(self.position, self.total_updates)

    def step_numbers(self, outputs, loss, batch):
        is_correct = outputs.argmax(dim=1) == batch.labels
        return [loss, is_correct.to(loss.dtype).mean()]

    def train_figures(self):
        return super().train_figures() | {"accuracy_percent": 100 * self.train_stats["accuracy"]}

    # Validation

    def measure(self, valid_set, show_progress):
        """The EER of the trials in percent, and the cosine at which it is reached."""
        indices, embeddings = embed_share(
            self.modules.features,
            self.kept_extractor,
            valid_set,
            self.device,
            self.hparams.valid_precision,
            progress=show_progress,
            is_over=lambda: self.signals.caught,
        )
        self.stop_if_asked()
        embeddings = gather_rows(indices, embeddings, len(self.trials.utterances), self.device)
        rate, threshold = processes.on_first(lambda: self._eer(embeddings))
        figures = {"eer_percent": 100 * rate, "threshold": threshold}
        return figures | {"trials_digest": self.trials_digest}

    def _eer(self, embeddings):
        scores = cosine_scores(embeddings, self.trials)
        rate, threshold = eer(scores, self.trials.is_client)
        if collapse_warning(scores, 100 * rate):
            logger.warning(collapse_warning(scores, 100 * rate))
        return float(rate), float(threshold)


def make_brain(hparams, run_opts, prepared, augmentation, num_classes, train_sampler):
    """The Brain with its model, classifier and checkpointer."""
    make_schedule = chosen("lr_schedule", hparams["lr_schedule"], hparams["lr_schedules"])
    opt_class = chosen("optimizer", hparams["optimizer"], hparams["optimizers"])
    init_from, out_dir, manifest = hparams["init_from"], hparams["out_dir"], prepared.train.path
    has_same = partial(have_same_speakers, manifest, f"{init_from}/manifests/{manifest.name}")
    classifier = make_classifier(hparams["classifier"], num_classes, init_from, has_same, out_dir)
    train_log = TrainLog(hparams["train_logger"], hparams["tensorboard_logger"], prepared.warning)
    checkpointer = hparams["checkpointer"](
        recoverables={
            "extractor": hparams["extractor"],
            "classifier": classifier,
            "epoch_counter": hparams["epoch_counter"],
            "train_log": train_log,
            "random_states": RandomStates(run_opts.device),
            "training_data": checkpoints.TrainingData(prepared.train.path),
        }
    )
    return SpeakerBrain(
        trials=prepared.trials,
        num_speakers=prepared.train.num_speakers,
        make_schedule=make_schedule,
        train_log=train_log,
        train_sampler=train_sampler,
        chunk_seconds=hparams["chunk_samples"] / hparams["sample_rate"],
        modules={
            "features": hparams["log_mel"],
            "extractor": hparams["extractor"],
            "classifier": classifier,
        }
        | ({"augmentation": augmentation} if augmentation else {}),
        opt_class=opt_class,
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=checkpointer,
    )


def prepare_data(hparams):
    """The manifests and trials, made by the first process; augmentation or None; classes."""
    processes.on_first(lambda: demo.make_if_missing(hparams))
    prepared = processes.on_first(hparams["prepare"])
    processes.check_shared(prepared.train.path)
    if not hparams["augment"]:
        return prepared, None, prepared.train.num_speakers
    augmentation = hparams["augmentation"].prepare(prepared.train.path)
    return prepared, augmentation, prepared.train.num_speakers * augmentation.voices.copies


def set_up(yaml_path, hparams, run_opts, overrides):
    """Everything from the settings (see `command_line.load_hparams`) up to the first step.

    Returns
    -------
    brain : SpeakerBrain
    train_loader, valid_loader : torch.utils.data.DataLoader
    """
    device = run_opts.device
    runtime.keep_freed_memory(device)
    precision = runtime.precision(hparams["precision"], device)
    runtime.choose_kernels(precision, same_shapes=True)
    hparams["precision"] = hparams["eval_precision"] = runtime.autocast_name(precision)
    is_given = "eval_precision" in run_opts.overridden_args
    hparams["valid_precision"] = run_opts.eval_precision if is_given else precision
    if "ckpt_interval_steps" not in run_opts.overridden_args:  # SpeechBrain takes one of them
        hparams["ckpt_interval_minutes"] = CKPT_INTERVAL_MINUTES
    with writing(hparams["out_dir"]):
        sb.create_experiment_directory(hparams["out_dir"], yaml_path, overrides)
    if hparams["init_from"]:
        load_initial_weights(hparams["init_from"], hparams["extractor"], hparams["out_dir"])
    prepared, augmentation, _ = data = prepare_data(hparams)
    train_loader = hparams["train_loader"](prepared.train, device, augmentation)
    num_workers = runtime.num_reading_workers(hparams["num_workers"], device)
    valid_loader = hparams["valid_loader"](
        prepared.valid.path, num_workers=num_workers, device=device
    )
    brain = make_brain(hparams, run_opts, *data, train_loader.batch_sampler)
    if processes.rank() > 0:
        # The weights are the same in all processes; what is drawn from now on is not.
        sb.utils.seed.seed_everything(hparams["seed"] + processes.rank(), verbose=False)
    return brain, train_loader, valid_loader


def report(hparams):
    """Where the best model is and what to do with it."""
    trials = {key: hparams[key] for key in ("valid_data_dir", "valid_clients", "valid_impostors")}
    return closing_words(hparams["out_dir"], hparams["epoch_counter"], trials, ROOT)


def main(arguments):
    """Prepares the data, trains, and says where the best model is."""
    settings = [argument for argument in arguments if argument != "--dry_run"]
    yaml_path, hparams, run_opts, overrides = command_line.load_hparams(settings)
    run_opts = processes.join_processes(run_opts, hparams["timeout_minutes"])
    out_dir, counter = hparams["out_dir"], hparams["epoch_counter"]
    processes.on_first(lambda: claim_out_dir(out_dir, yaml_path, overrides))
    if is_finished(out_dir, counter):
        text = f"{out_dir}: this training is finished (epoch {counter.current} was its last). "
        text += f"For a new one give another --out_dir.\n{report(hparams)}"
        return processes.on_first(lambda: print(text))
    if settings != arguments:
        *_, num_classes = prepare_data(hparams)
        needed = {name: hparams[name] for name in costs.SETTINGS}
        text = costs.describe_costs(num_classes, run_opts.device, **needed)
        return processes.on_first(lambda: print(text))
    brain, train_loader, valid_loader = set_up(yaml_path, hparams, run_opts, overrides)
    brain.fit(counter, train_loader, valid_loader)
    if processes.rank() == 0:
        logger.info(report(hparams))


if __name__ == "__main__":
    command_line.run(main)
