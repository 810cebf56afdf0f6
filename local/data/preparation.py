"""The user's lists and audio to checked manifests, for training and for recipes/prepare.py."""

import inspect
import logging
from pathlib import Path
from typing import NamedTuple

from local.data.manifests import Manifest, prepare_training, prepare_trials
from local.data.overlap import overlap_warning
from local.errors import InputError
from local.features.files import feature_kind
from local.lists.labels import read_labels
from local.lists.trials import Trials, read_trials

logger = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """The manifests of a training run, and its trials."""

    train: Manifest
    valid: Manifest
    trials: Trials
    warning: str = ""  # of speakers in both


def prepare(
    train_labels_path,
    train_data_dir,
    valid_clients,
    valid_impostors,
    valid_data_dir,
    out_dir,
    sample_rate,
    min_seconds,
    train_on,
    feature_dir,
    log_mel,
):
    """Checks all lists and files of a training run, and writes `out_dir`/manifests/*.csv.

    The arguments are the `SETTINGS` of the same names in `hparams/vgg.yaml`. Returns a Prepared.

    Raises
    ------
    InputError
        With all problems of the lists or, if they have none, of the training audio or, if that
        has none, of the audio of the trials; or if train_on is unknown.
    """
    if train_on not in ("audio", "features"):
        raise InputError(f"train_on is audio or features, not {train_on!r}")
    trials = _read_trials(valid_clients, valid_impostors, train_labels_path)
    options = {"sample_rate": sample_rate, "min_seconds": min_seconds}
    if train_on == "features":
        frame_rate = sample_rate // log_mel.hop
        kind = feature_kind(log_mel.num_mels, frame_rate)
        # Features were only extracted from recordings that are long enough.
        options |= {"sample_rate": frame_rate, "min_seconds": 0.0, "kind": kind}
        train_data_dir = feature_dir or train_data_dir
        valid_data_dir = feature_dir or valid_data_dir
    manifests = Path(out_dir, "manifests")
    train = prepare_training(train_labels_path, train_data_dir, manifests / "train.csv", **options)
    valid = prepare_trials(trials, valid_data_dir, manifests / "valid.csv", **options)
    warning = overlap_warning(train.path, valid.path)
    if warning:
        logger.warning(warning)
    return Prepared(train, valid, trials, warning)


SETTINGS = tuple(inspect.signature(prepare).parameters)


def _read_trials(clients_path, impostors_path, labels_path):
    """The trials; an error in them also names those in the labels."""
    try:
        return read_trials(clients_path, impostors_path)
    except InputError as trials_error:
        try:
            read_labels(labels_path)
        except InputError as labels_error:
            raise InputError(f"{labels_error}\n{trials_error}") from trials_error
        raise
