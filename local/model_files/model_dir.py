"""A model directory: writes a trained model with its configuration, and loads it again."""

import hashlib
import io
import math
import pickle
from pathlib import Path
from types import NoneType

import torch
from ruamel.yaml import YAML

from local.atomic import replacing
from local.errors import InputError
from local.model_files.definition import (
    build_definition,
    check_definition,
    read_definition,
    sketching,
)
from local.model_files.weights import check_tensors, load_weights, misfits, on_cpu

# What model.yaml has, and its names in hparams/vgg.yaml: all that embeddings need besides weights.
MODEL_KEYS = {"sample_rate": "sample_rate", "features": "log_mel", "extractor": "extractor"}
MODEL_FILE = "model.yaml"
SETTINGS_FILE = "hyperparams.yaml"
CONFIG_FILE = "config.pkl"
MAX_VALUES = 10_000  # of a configuration, which has some 100
WEIGHTS_PATTERN = "model_*.pt"


def save_weights(out_dir, content, num_to_keep=3):
    """Writes `model_STEP.pt`, loadable with torch.load(weights_only=True); deletes the oldest.

    Training calls it for each new best model.

    Arguments
    ---------
    out_dir : str or Path
    content : dict
        extractor, classifier, optimizer (state dictionaries), num_speakers, step, epoch,
        eer_percent, threshold (of the scores at the equal error rate), trials_digest (of those that
        chose the model).
    num_to_keep : int
        Files that stay, this one included.

    Returns
    -------
    path : Path
    """
    path = Path(out_dir) / WEIGHTS_PATTERN.replace("*", f"{content['step']:08d}")
    # Of a path, torch.save would write the name into the file, and it is another one each time.
    with replacing(path) as temporary, open(temporary, "wb") as file:
        torch.save(on_cpu(content), file)
    by_age = sorted(weight_files(out_dir), key=lambda file: file.stat().st_mtime_ns)
    for old in by_age[:-num_to_keep]:
        old.unlink()
    return path


def weight_files(model_dir):
    """The `model_STEP.pt` files of a directory by their steps."""
    return sorted(Path(model_dir).glob(WEIGHTS_PATTERN))


def save_config(out_dir, num_speakers):
    """Writes what is needed to rebuild the model, and the whole configuration.

    Both are taken from the resolved hyperparameters in out_dir: `model.yaml` has the features and
    the extractor, `config.pkl` everything and the number of speakers, as plain Python types.

    Raises
    ------
    InputError
        If the model has parts that `load_model` would refuse: see `local.model_files.definition`.
    """
    yaml = YAML()
    with open(Path(out_dir) / SETTINGS_FILE, encoding="utf-8") as file:
        hyperparams = yaml.load(file)
    definition = io.StringIO()
    yaml.dump({key: hyperparams[name] for key, name in MODEL_KEYS.items()}, definition)
    # Before a training, not after it.
    check_definition(definition.getvalue(), Path(out_dir) / MODEL_FILE)
    with replacing(Path(out_dir) / MODEL_FILE) as temporary:
        temporary.write_text(definition.getvalue(), encoding="utf-8")
    config = to_plain(hyperparams) | {"num_speakers": num_speakers}
    with replacing(Path(out_dir) / CONFIG_FILE) as temporary:
        temporary.write_bytes(pickle.dumps(config))


def to_plain(node, room=None):
    """A YAML node as plain Python types; its tag, such as !new:CLASS, stands under "class".

    Raises a ValueError for more than `MAX_VALUES`, as few aliases can stand for very many.
    """
    room = iter(range(MAX_VALUES)) if room is None else room
    if next(room, None) is None:
        raise ValueError(f"more than {MAX_VALUES} values")
    tag = getattr(getattr(node, "tag", None), "value", None)
    kind = {"class": str(tag)} if tag else {}
    if isinstance(node, dict):
        return kind | {str(key): to_plain(value, room) for key, value in node.items()}
    if isinstance(node, list):
        values = [to_plain(value, room) for value in node]
        return kind | {"arguments": values} if kind else values
    if isinstance(node, bool) or node is None:
        return node
    for plain in (int, float):
        if isinstance(node, plain):
            return plain(node)
    return str(getattr(node, "value", node)) if not kind else kind


def load_model(model_dir):
    """Builds the model of a directory and loads its best weights.

    Nothing that a stranger's directory names is executed: see `docs/security.md`.

    Arguments
    ---------
    model_dir : str or Path
        The out_dir of a training run.

    Returns
    -------
    model : dict
        sample_rate, features, extractor; the path of their definition; and of the weights path,
        step, eer_percent, threshold and trials_digest, of which the last three are None where they
        are not known; digest, a text that all copies of this model share, also exported ones.

    Raises
    ------
    InputError
        If there is no model, it can't be read, or the weights are of another model.
    """
    definition = Path(model_dir) / MODEL_FILE
    if not definition.is_file() or not weight_files(model_dir):
        raise InputError(
            f"{model_dir}: no trained model here ({MODEL_FILE} and {WEIGHTS_PATTERN}): "
            "give the out_dir of recipes/train_vgg.py"
        )
    text = read_definition(definition)
    path, content = best_weights(model_dir)
    check_tensors(content["extractor"], path)
    # A sketch first, which takes no memory: a definition may ask for more than there is.
    with sketching():
        sketch = build_definition(text, definition)["extractor"]
    differences = misfits(sketch.state_dict(), content["extractor"])
    if differences:
        raise InputError(
            f"{path}: does not fit {definition} (here); was it trained with another width? "
            f"{differences[0]}"
        )
    model = build_definition(text, definition)
    model["extractor"].load_state_dict(content["extractor"])
    _try(model, definition)
    record = {
        key: content.get(key) for key in ("step", "eer_percent", "threshold", "trials_digest")
    }
    digest = _digest(text, content["extractor"])
    return model | {"path": path, "definition": definition, "digest": digest} | record


def _digest(definition, state):
    """Of all that decides embeddings: the text of a definition, and the weights."""
    digest = hashlib.sha256(definition.encode())
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _try(model, path):
    """Embeds a frame of silence, as features and network of a definition may not fit together."""
    extractor = model["extractor"].eval()
    try:
        with torch.inference_mode():
            features, _ = model["features"](torch.zeros(1, model["features"].fft_size))
            is_finite = extractor(features).isfinite().all()
    except Exception as error:  # whatever layers say of sizes that they don't take
        raise InputError(f"{path}: features and network don't fit together ({error})") from error
    if not is_finite:
        raise InputError(f"{path}: the embeddings of this model are not finite")
    extractor.train()


def best_weights(model_dir):
    """The path and the content of the weights with the lowest EER; of several, the newest.

    Raises
    ------
    InputError
        If there are none, or one is damaged or not a checkpoint of this recipe.
    """
    found = []
    for path in weight_files(model_dir):
        content = load_weights(path)
        facts = [content.get(key) for key in ("step", "eer_percent", "threshold", "trials_digest")]
        step, *numbers, digest = map(type, facts)
        is_record = step is int and {*numbers} <= {int, float, NoneType}
        is_record = is_record and digest in (str, NoneType)
        if not is_record or not isinstance(content.get("extractor"), dict):
            raise InputError(f"{path}: is damaged, or not a checkpoint of this recipe")
        # Who puts weights without an EER into a directory, such as converted ones, means these.
        rank = -math.inf if facts[1] is None else math.inf if math.isnan(facts[1]) else facts[1]
        found.append((rank, path, content))
    if not found:
        raise InputError(f"{model_dir}: has no {WEIGHTS_PATTERN}")
    _, path, content = min(reversed(found), key=lambda one: one[0])
    return path, content
