"""A model directory: writes a trained model with its configuration, and loads it again."""

import pickle
from pathlib import Path

import torch
from ruamel.yaml import YAML

from local.atomic import read_text, replacing
from local.errors import InputError
from local.model_files import building, definition, weights
from local.models.embedding import EmbeddingExtractor

# What model.yaml has, and its names in hparams/vgg.yaml: all that embeddings need besides weights.
MODEL_KEYS = {"sample_rate": "sample_rate", "features": "log_mel", "extractor": "extractor"}
MODEL_FILE = "model.yaml"
SETTINGS_FILE = "hyperparams.yaml"
CONFIG_FILE = "config.pkl"
WEIGHTS_PATTERN = "model_*.pt"
SAMPLE_RATES = range(1000, 768_001)


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
    with replacing(path) as temporary:
        torch.save(content, temporary)
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
    Raises an InputError if `load_model` would not build the model.
    """
    yaml, path = YAML(), Path(out_dir) / SETTINGS_FILE
    hyperparams = yaml.load(read_text(path))
    with replacing(Path(out_dir) / MODEL_FILE) as temporary:
        yaml.dump({key: hyperparams[name] for key, name in MODEL_KEYS.items()}, temporary)
        building.check(definition.read(temporary), Path(out_dir) / MODEL_FILE)
    config = definition.plain(definition.read(path)) | {"num_speakers": num_speakers}
    with replacing(Path(out_dir) / CONFIG_FILE) as temporary:
        temporary.write_bytes(pickle.dumps(config))


def load_model(model_dir):
    """Builds the model of a directory and loads its best weights.

    Arguments
    ---------
    model_dir : str or Path
        The out_dir of a training run.

    Returns
    -------
    model : dict
        sample_rate, features, extractor; and of its weights path, step, eer_percent and threshold,
        of which the last two are None where they are not known.

    Raises
    ------
    InputError
        If there is no model, it can't be read, names anything that a model does not consist of, or
        the weights are of another model. Nothing that the files name is run.
    """
    path, files = Path(model_dir) / MODEL_FILE, weight_files(model_dir)
    if not path.is_file() or not files:
        raise InputError(
            f"{model_dir}: no trained model here ({MODEL_FILE} and {WEIGHTS_PATTERN}): "
            "give the out_dir of recipes/train_vgg.py"
        )
    content = load_weights(files[-1])
    model = _build(path, content["extractor"])
    try:
        model["extractor"].load_state_dict(content["extractor"])
    except RuntimeError as error:
        raise InputError(
            f"{files[-1]}: does not fit {path}; was it trained with another width? {error}"
        ) from error
    _try(model, path)
    facts = {name: content.get(name) for name in ("step", "eer_percent", "threshold")}
    return model | {"path": files[-1]} | facts


def load_weights(path):
    """What `save_weights` wrote; raises an InputError if it is anything else.

    Old files have no threshold, converted ones no eer_percent; the classifier is not looked at.
    """
    content = weights.load(path)
    if not isinstance(content, dict) or not {"extractor", "step", "eer_percent"} <= content.keys():
        raise InputError(f"{path}: is damaged, or not a checkpoint of this recipe")
    weights.check_tensors(content["extractor"], path)
    numbers = [content.get(name) for name in ("eer_percent", "threshold")]
    are_numbers = all(number is None or type(number) in (int, float) for number in numbers)
    if type(content["step"]) is not int or not are_numbers:
        raise InputError(f"{path}: is damaged: step, EER or threshold is no number")
    return content


def _build(path, tensors):
    """The model that a definition describes, as large as its weights are."""
    num_bytes = sum(tensor.nbytes for tensor in tensors.values())
    model = building.build(definition.read(path), path, num_bytes)
    rate, features, extractor = (model.get(key) for key in MODEL_KEYS)
    if type(rate) is not int or rate not in SAMPLE_RATES:
        raise InputError(f"{path}: sample_rate is a whole number of Hz, not {rate!r}")
    if not hasattr(features, "log_mel") or not isinstance(extractor, EmbeddingExtractor):
        raise InputError(f"{path}: features or extractor is missing, or something else")
    return {key: model[key] for key in MODEL_KEYS}


def _try(model, path):
    """Embeds a frame of silence, as definitions of features and network may not fit together."""
    extractor = model["extractor"].eval()
    try:
        with torch.inference_mode():
            features, _ = model["features"](torch.zeros(1, model["features"].fft_size))
            is_finite = extractor(features).isfinite().all()
    except Exception as error:  # the definition may be anything
        raise InputError(f"{path}: features and network do not fit ({error})") from error
    if not is_finite:
        raise InputError(f"{path}: the model's embeddings are not finite")
    extractor.train()
