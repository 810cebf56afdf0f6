"""A checkpoint of the original code in, a model directory of this recipe out."""

import argparse
from pathlib import Path

import torch
from hyperpyyaml import resolve_references
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString as Quoted

from local.atomic import new_directory, read_text
from local.errors import InputError
from local.model_files import model_dir
from local.model_files.definition import build_definition, read_definition, sketching
from local.model_files.weights import check_tensors, load_weights
from local.models.embedding import SpeakerClassifier

HPARAMS = Path(__file__).resolve().parents[2] / "hparams"
# Names in the original -> names here: the parameters of each pooling, layers, training settings.
POOLINGS = {
    "attention": {"att": "query"},
    "multi_head": {"query": "query"},
    "double_multi_head": {
        "utteranceAttention.query": "over_states.query",
        "headsAttention.att": "over_heads.query",
    },
}
LAYERS = {
    "fc1": "extractor.head.hidden.0",
    "fc2": "extractor.head.linear",
    "b2": "extractor.head.norm",
    "preLayer": "classifier.projection",
}
NORM = ("running_mean", "running_var", "num_batches_tracked")
NUMBERS = {"marginFactor": "margin", "scalingFactor": "scale", "learning_rate": "lr"}
NUMBERS |= {"weight_decay": "weight_decay", "mask_prob": "head_drop"}
LISTS = "train_data_dir", "train_labels_path", "valid_data_dir", "valid_clients", "valid_impostors"


def convert(path, out_dir, normalization=None):
    """Makes a model directory of a checkpoint of the original code, whole or not at all.

    Arguments
    ---------
    path : str or Path
        A .chkpt or .pt file; nothing that it names is executed.
    out_dir : str or Path
        A new or empty folder.
    normalization : str, optional
        Of the features; None: what the settings in the checkpoint say, or else cmn.

    Returns
    -------
    settings : dict
        Of hparams/vgg.yaml, as far as the checkpoint states them; and num_speakers, in training.

    Raises
    ------
    InputError
        If the checkpoint can't be read or converted, or the directory can't be written.
    """
    content = _load(path)
    try:
        names, network, num_speakers = _describe_network(content["model"])
        settings = _training_settings(content.get("settings"), normalization) | network
        with new_directory(out_dir) as folder:
            _write_hyperparams(folder, settings | {"out_dir": str(out_dir)})
            model_dir.save_config(folder, num_speakers)
            definition = read_definition(folder / model_dir.MODEL_FILE)
            with sketching():  # the tensors are those of the checkpoint
                extractor = build_definition(definition, path)["extractor"]
                size = network["embedding_size"]
                classifier = SpeakerClassifier(size, num_speakers, projection=True)
            model = torch.nn.ModuleDict({"extractor": extractor, "classifier": classifier})
            weights = {own: content["model"][name] for name, own in names.items()}
            model.load_state_dict(weights, assign=True)
            model.float()
            if not all(value.isfinite().all() for value in model.state_dict().values()):
                raise ValueError("it has parameters that are not finite")
            weights = {name: module.state_dict() for name, module in model.items()}
            weights |= {"step": content["step"], "epoch": content["epoch"], "eer_percent": None}
            model_dir.save_weights(folder, weights)
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise InputError(f"{path}: can't be converted: {error}") from error
    return settings | {"num_speakers": num_speakers}


def _load(path):
    """The dictionary in a checkpoint; under "model" are its parameters, as rows."""
    content = load_weights(path, more_types=[argparse.Namespace], may_be_old=True)
    model = content.get("model")
    if not isinstance(model, dict) or not all(map(torch.is_tensor, model.values())):
        raise InputError(f"{path}: is no checkpoint of the original code: 'model' holds no tensors")
    check_tensors(model, path)
    # Training on several GPUs puts "module." before names; old versions of torch lack the count.
    model = {str(name).removeprefix("module."): value for name, value in model.items()}
    model.setdefault("b2.num_batches_tracked", torch.tensor(0))
    for name in model:  # queries and directions are columns in the original, and rows here
        if name.startswith(("poolingLayer.", "predictionLayer.")):
            model[name] = model[name].T
    counts = {name: content.get(name, 0) for name in ("step", "epoch")}
    if not all(type(count) is int for count in counts.values()):
        raise InputError(f"{path}: is damaged: step or epoch is no whole number")
    return content | counts | {"model": model}


def _training_settings(namespace, normalization):
    """What the original's settings say, by the names here; values of a wrong type are left out."""
    given = vars(namespace) if isinstance(namespace, argparse.Namespace) else {}
    # Quoted, as HyperPyYAML runs programs in texts that look like tuples.
    texts = {name: Quoted(value) for name, value in given.items() if isinstance(value, str)}
    numbers = {name: value for name, value in given.items() if type(value) in (int, float)}
    known = {name: texts.get(name) for name in LISTS}
    known |= {own: numbers[theirs] for theirs, own in NUMBERS.items() if theirs in numbers}
    if "window_size" in numbers:
        known["chunk_samples"] = round(numbers["window_size"] * 16000)  # seconds to samples
    known["margin_schedule"] = "annealing" if given.get("annealing") is True else "constant"
    known["normalization"] = normalization or texts.get("normalization", "cmn")
    return known


def _describe_network(parameters):
    """Names of all parameters here, settings and number of speakers, which shapes tell."""
    num_blocks = 4 if "front_end.conv41.weight" in parameters else 3
    queries = {f"poolingLayer.{next(iter(names))}": name for name, names in POOLINGS.items()}
    query = next((name for name in queries if name in parameters), None)
    if query is None:
        raise ValueError("it has no pooling of the kinds Attention, MHA and DoubleMHA")
    names = _names(num_blocks, queries[query])
    missing = [name for name in names if name not in parameters]
    # The original's forward pass leaves out the batch norms b1 and b3.
    unknown = [name for name in parameters if name not in names and name[:3] not in ("b1.", "b3.")]
    if missing or unknown:
        raise ValueError(f"missing parameters: {missing}, unknown parameters: {unknown}")
    shapes = (parameters[name].shape for name in (query, "fc2.weight", "predictionLayer.W"))
    (num_heads, _), (embedding_size, hidden_size), (num_speakers, _) = shapes
    network = {
        "num_blocks": num_blocks,
        "width": parameters[f"front_end.conv{num_blocks}2.bias"].numel(),
        "pooling": queries[query],
        "num_heads": num_heads,
        "hidden_size": hidden_size,
        "embedding_size": embedding_size,
    }
    return names, network, num_speakers


def _names(num_blocks, pooling):
    """The name of every parameter in the original -> its name here."""
    names = {"predictionLayer.W": "classifier.directions"}
    for theirs, own in POOLINGS[pooling].items():
        names[f"poolingLayer.{theirs}"] = f"extractor.pooling.{own}"
    layers = dict(LAYERS)
    for block, conv in (divmod(number, 2) for number in range(2 * num_blocks)):
        own = f"extractor.front_end.blocks.{block}.convs.{conv}"
        layers[f"front_end.conv{block + 1}{conv + 1}"] = own
    for theirs, own in layers.items():
        for kind in ("weight", "bias", *(NORM if theirs == "b2" else ())):
            names[f"{theirs}.{kind}"] = f"{own}.{kind}"
    return names


def _write_hyperparams(folder, settings):
    """Writes hparams/vgg.yaml with the settings of the published system, and these after them."""
    known = YAML(typ="safe").load(read_text(HPARAMS / "presets" / "paper.yaml"))
    known |= {"sample_rate": 16000, "num_mels": 80}
    known["extractor"] = {"pooling": {"score_scale": "heads"}}
    resolved = resolve_references(read_text(HPARAMS / "vgg.yaml"), known | settings)
    (folder / "hyperparams.yaml").write_text(resolved.read(), encoding="utf-8")
