"""A model directory: writes a trained model with its configuration, and loads it again."""

import pickle
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML

from local.atomic import replacing
from local.errors import InputError

# What model.yaml has, and its names in hparams/vgg.yaml: all that embeddings need besides weights.
MODEL_KEYS = {"sample_rate": "sample_rate", "features": "log_mel", "extractor": "extractor"}
MODEL_FILE = "model.yaml"
SETTINGS_FILE = "hyperparams.yaml"
CONFIG_FILE = "config.pkl"
WEIGHTS_PATTERN = "model_*.pt"


def save_weights(out_dir, content, num_to_keep=3):
    """Writes `model_STEP.pt`, loadable with torch.load(weights_only=True); deletes the oldest.

    Training calls it for each new best model, so that the last file is the best one.

    Arguments
    ---------
    out_dir : str or Path
    content : dict
        extractor, classifier, optimizer (state dictionaries), step, epoch, eer_percent, threshold
        (of the scores at the equal error rate).
    num_to_keep : int
        Files that stay, this one included.

    Returns
    -------
    path : Path
    """
    path = Path(out_dir) / WEIGHTS_PATTERN.replace("*", f"{content['step']:08d}")
    # Of a path, torch.save would write the name into the file, and it is another one each time.
    with replacing(path) as temporary, open(temporary, "wb") as file:
        torch.save(content, file)
    for old in weight_files(out_dir)[:-num_to_keep]:
        old.unlink()
    return path


def weight_files(model_dir):
    """The `model_STEP.pt` files of a directory by their steps; the last one is the best."""
    return sorted(Path(model_dir).glob(WEIGHTS_PATTERN))


def save_config(out_dir, num_speakers):
    """Writes what is needed to rebuild the model, and the whole configuration.

    Both are taken from the resolved hyperparameters in out_dir: `model.yaml` has the features and
    the extractor, `config.pkl` everything and the number of speakers, as plain Python types.
    """
    yaml = YAML()
    with open(Path(out_dir) / SETTINGS_FILE, encoding="utf-8") as file:
        hyperparams = yaml.load(file)
    with replacing(Path(out_dir) / MODEL_FILE) as temporary:
        yaml.dump({key: hyperparams[name] for key, name in MODEL_KEYS.items()}, temporary)
    config = to_plain(hyperparams) | {"num_speakers": num_speakers}
    with replacing(Path(out_dir) / CONFIG_FILE) as temporary:
        temporary.write_bytes(pickle.dumps(config))


def to_plain(node):
    """A YAML node as plain Python types; its tag, such as !new:CLASS, stands under "class"."""
    tag = getattr(getattr(node, "tag", None), "value", None)
    kind = {"class": str(tag)} if tag else {}
    if isinstance(node, dict):
        return kind | {str(key): to_plain(value) for key, value in node.items()}
    if isinstance(node, list):
        values = [to_plain(value) for value in node]
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
        sample_rate, features, extractor; the path of their definition; and of the weights path,
        step, eer_percent and threshold, of which the last two are None where they are not known.

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
        "definition": definition,
        "step": content["step"],
        "eer_percent": content["eer_percent"],
        "threshold": content.get("threshold"),  # not in older directories
    }


def _load_weights(path):
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        content["extractor"], content["step"], content["eer_percent"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is damaged, or not a checkpoint of this recipe") from error
    return content
