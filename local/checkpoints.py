"""What a training run leaves in its directory, written whole or not at all."""

import hashlib
import logging
import os
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import torch
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML
from speechbrain.utils.checkpoints import (
    Checkpointer,
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.epoch_loop import EpochCounterWithStopper

from local.atomic import replacing
from local.errors import InputError

logger = logging.getLogger(__name__)

# What a model directory holds besides weights: all that is needed to compute embeddings.
MODEL_KEYS = ("sample_rate", "features", "extractor")
MODEL_FILE = "model.yaml"
CONFIG_FILE = "config.pkl"
WEIGHTS_PATTERN = "model_*.pt"

# SpeechBrain leaves this out, and the counter's parent saves the epoch only: a resumed run would
# forget the best EER and the patience.
register_checkpoint_hooks(EpochCounterWithStopper)


class WholeCheckpointer(Checkpointer):
    """SpeechBrain's Checkpointer, whose checkpoints get their name when they are complete.

    SpeechBrain makes the directory first and fills it then: what an interruption left behind
    would be taken for a checkpoint.
    """

    def save_checkpoint(self, meta=None, end_of_epoch=True, name=None, verbosity=20):
        final = self._new_checkpoint_dirpath() if name is None else self._final_path(name)
        partial_name = f"{os.getpid()}"
        if if_main_process():
            shutil.rmtree(self._custom_checkpoint_dirpath(partial_name), ignore_errors=True)
        saved = super().save_checkpoint(meta or {}, end_of_epoch, partial_name, verbosity)
        if saved is None:
            return None
        os.replace(saved.path, final)
        files = {key: final / path.name for key, path in saved.paramfiles.items()}
        return saved._replace(path=final, paramfiles=files)

    def _final_path(self, name):
        return super()._custom_checkpoint_dirpath(name)

    def _custom_checkpoint_dirpath(self, name):
        return self.checkpoints_dir / f"partial+{name}"


@register_checkpoint_hooks
class RandomStates:
    """The random states of Python, numpy and torch, as a part of the checkpoints."""

    @mark_as_saver
    def save(self, path):
        version, words, gauss = random.getstate()
        name, keys, *position = np.random.get_state()
        states = {
            "python": [version, list(words), gauss],
            "numpy": [name, keys.tolist(), *position],
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        torch.save(states, path)

    @mark_as_loader
    def load(self, path, end_of_epoch):
        del end_of_epoch
        states = torch.load(path, weights_only=True)
        version, words, gauss = states["python"]
        random.setstate((version, tuple(words), gauss))
        np.random.set_state(tuple(states["numpy"]))
        torch.set_rng_state(states["torch"])
        if len(states["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(states["cuda"])


@register_checkpoint_hooks
class TrainingData:
    """Warns when a run goes on with other training data than it began with.

    Arguments
    ---------
    manifest_path : str or Path
        Of the training utterances.
    """

    def __init__(self, manifest_path):
        self.digest = hashlib.sha256(Path(manifest_path).read_bytes()).hexdigest()

    @mark_as_saver
    def save(self, path):
        Path(path).write_text(self.digest, encoding="utf-8")

    @mark_as_loader
    def load(self, path, end_of_epoch):
        del end_of_epoch
        if Path(path).read_text(encoding="utf-8") != self.digest:
            logger.warning(
                "The training utterances are not those of the run that goes on from %s: "
                "for a new run give another --out_dir",
                Path(path).parent,
            )


def save_weights(out_dir, content, num_to_keep=3):
    """Writes `model_STEP.pt`, loadable with torch.load(weights_only=True); drops the oldest.

    Called for each new best model: the newest file is the best one.

    Arguments
    ---------
    out_dir : str or Path
    content : dict
        extractor, classifier, optimizer (state dictionaries), step, epoch, eer_percent.
    num_to_keep : int

    Returns
    -------
    path : Path
    """
    path = Path(out_dir) / WEIGHTS_PATTERN.replace("*", f"{content['step']:08d}")
    with replacing(path) as temporary:
        torch.save(content, temporary)
    for old in weight_files(out_dir)[:-num_to_keep]:
        old.unlink()
    return path


def weight_files(model_dir):
    """The `.pt` files of a model directory, the best one last."""
    return sorted(Path(model_dir).glob(WEIGHTS_PATTERN))


def save_config(out_dir, num_speakers):
    """Writes what is needed to rebuild the model, and the whole configuration.

    Both are taken from the resolved hyperparameters in out_dir: `model.yaml` has the features and
    the extractor, `config.pkl` everything and the number of speakers, as plain Python types.
    """
    yaml = YAML()
    with open(Path(out_dir) / "hyperparams.yaml", encoding="utf-8") as file:
        hyperparams = yaml.load(file)
    with replacing(Path(out_dir) / MODEL_FILE) as temporary:
        yaml.dump({key: hyperparams[key] for key in MODEL_KEYS}, temporary)
    config = {key: _plain(value) for key, value in hyperparams.items()}
    config["num_speakers"] = num_speakers
    with replacing(Path(out_dir) / CONFIG_FILE) as temporary:
        temporary.write_bytes(pickle.dumps(config))


def _plain(node):
    """A YAML node as plain Python types; what a tag makes of it stands under "class"."""
    tag = getattr(getattr(node, "tag", None), "value", None)
    kind = {"class": str(tag)} if tag else {}
    if isinstance(node, dict):
        return kind | {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        values = [_plain(value) for value in node]
        return kind | {"arguments": values} if kind else values
    if isinstance(node, bool) or node is None:
        return node
    for plain in (int, float):
        if isinstance(node, plain):
            return plain(node)
    return str(getattr(node, "value", node)) if not kind else kind


def load_model(model_dir):
    """Builds the model of a directory and loads its best weights.

    Arguments
    ---------
    model_dir : str or Path
        The out_dir of a training run.

    Returns
    -------
    model : dict
        sample_rate, features, extractor; and of the weights path, step, eer_percent.

    Raises
    ------
    InputError
        If there is no model, it can't be read, or the weights are of another model.
    """
    definition = Path(model_dir) / MODEL_FILE
    weights = weight_files(model_dir)
    if not definition.is_file() or not weights:
        raise InputError(
            f"{model_dir}: no trained model here ({MODEL_FILE} and {WEIGHTS_PATTERN}): "
            "give the out_dir of recipes/train_vgg.py"
        )
    with open(definition, encoding="utf-8") as file:
        model = load_hyperpyyaml(file)
    content = _load_weights(weights[-1])
    try:
        model["extractor"].load_state_dict(content["extractor"])
    except RuntimeError as error:
        raise InputError(
            f"{weights[-1]}: does not fit {definition}; was it trained with another width? {error}"
        ) from error
    return model | {
        "path": weights[-1],
        "step": content["step"],
        "eer_percent": content["eer_percent"],
    }


def _load_weights(path):
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        content["extractor"], content["step"], content["eer_percent"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is damaged, or not a checkpoint of this recipe") from error
    return content
