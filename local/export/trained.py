"""What is known of a trained model: itself, its weights, and the run that made it."""

import os
import pickle
import shutil
from pathlib import Path
from typing import NamedTuple

import torch
from hyperpyyaml import load_hyperpyyaml

from local.atomic import replacing
from local.errors import InputError
from local.export.yaml_text import flow_text
from local.model_files.model_dir import CONFIG_FILE, MODEL_FILE, load_model, save_weights

# Of the weights: the optimizer, two thirds of them, serves only the training that made it.
KEPT = ("extractor", "classifier", "step", "epoch", "eer_percent")


class Trained(NamedTuple):
    """A model directory that was read.

    Arguments
    ---------
    folder : Path
    model : dict
        From `local.model_files.model_dir.load_model`, in evaluation mode.
    weights : dict
        What the newest weights hold of `KEPT`.
    config : dict
        The settings of the training, plain; empty if they are not known.
    classifier : dict or None
        The class of the classifier with its arguments, as in config; None if there are no weights
        of it.
    """

    folder: Path
    model: dict
    weights: dict
    config: dict
    classifier: dict | None


def read_trained(model_dir):
    """Reads a model directory.

    Arguments
    ---------
    model_dir : str or Path
        The out_dir of a training run, or what else `load_model` takes.

    Raises
    ------
    InputError
        If there is no model, its weights or config.pkl can't be read, or they don't fit together.
    """
    model = load_model(model_dir)
    model["extractor"].eval()
    content = torch.load(model["path"], map_location="cpu", weights_only=True)
    weights = {key: content[key] for key in KEPT if key in content}
    config = read_config(model_dir)
    trained = Trained(Path(model_dir), model, weights, config, _classifier_of(weights, config))
    if trained.classifier:
        make_classifier(trained)
    return trained


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def read_config(model_dir):
    """The `config.pkl` of a model directory; an empty dictionary if there is none.

    Raises
    ------
    InputError
        If it holds anything but plain types; nothing of it is executed.
    """
    path = Path(model_dir) / CONFIG_FILE
    if not path.exists():
        return {}
    try:
        with open(path, "rb") as file:
            config = _PlainUnpickler(file).load()
    except Exception as error:
        # A damaged pickle raises whatever its bytes lead to.
        raise InputError(f"{path}: is damaged, or holds more than settings ({error})") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: holds no settings")
    return config


def _classifier_of(weights, config):
    """By the settings of the training; where there are none, by the weights."""
    state = weights.get("classifier")
    if not state:
        return None
    kind, num_speakers = config.get("classifier"), config.get("num_speakers")
    if num_speakers and isinstance(kind, dict) and str(kind.get("class")).startswith("!name:"):
        name = kind["class"].removeprefix("!name:")
        return kind | {"class": f"!new:{name}", "num_speakers": num_speakers}
    if "directions" not in state:
        raise InputError(f"the classifier of the weights is unknown, as there is no {CONFIG_FILE}")
    num_speakers, embedding_size = state["directions"].shape
    return {
        "class": "!new:local.models.embedding.SpeakerClassifier",
        "embedding_size": embedding_size,
        "num_speakers": num_speakers,
        "projection": any(key.startswith("projection") for key in state),
    }


def make_classifier(trained):
    """The classifier with its weights.

    Raises
    ------
    InputError
        If there is no such class, or the weights are of another one.
    """
    text = f"classifier: {flow_text(trained.classifier)}"
    try:
        classifier = load_hyperpyyaml(text)["classifier"]
        classifier.load_state_dict(trained.weights["classifier"])
    except (RuntimeError, ImportError, ValueError, TypeError) as error:
        path = trained.model["path"]
        raise InputError(f"{path}: does not fit the {text}: {error}") from error
    return classifier.eval()


def write_model_dir(trained, folder):
    """Writes model.yaml, the weights and config.pkl, as `load_model` reads them.

    The folders of absolute paths are left out of the settings: they are nobody else's concern.
    """
    shutil.copyfile(trained.folder / MODEL_FILE, folder / MODEL_FILE)
    save_weights(folder, trained.weights)
    if trained.config:
        with replacing(folder / CONFIG_FILE) as temporary:
            temporary.write_bytes(pickle.dumps(without_folders(trained.config)))


def without_folders(value):
    """Settings with the last part of each absolute path only.

    Example
    -------
    >>> without_folders({"out_dir": "/home/anna/results/a", "cohort": ["/data/c.csv", "b/d.csv"]})
    {'out_dir': 'a', 'cohort': ['c.csv', 'b/d.csv']}
    """
    if isinstance(value, dict):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_folders(item) for item in value]
    if isinstance(value, str) and os.path.isabs(value):
        return Path(value).name
    return value
