"""The weights of the original code's network, for the modules of this recipe."""

import functools
import itertools
from typing import NamedTuple

import torch

from local.errors import InputError, Problems
from local.model_files.original_checkpoint import listed
from local.models.embedding import EmbeddingExtractor, EmbeddingHead, SpeakerClassifier
from local.models.pooling import make_pooling
from local.models.vgg import VGG, vgg_channels

NUM_MELS = 80
# Of each pooling: the original's name, and the parameters by their names there and here.
POOLINGS = {
    "attention": ("Attention", {"att": "query"}),
    "multi_head": ("MHA", {"query": "query"}),
    "double_multi_head": (
        "DoubleMHA",
        {"utteranceAttention.query": "over_states.query", "headsAttention.att": "over_heads.query"},
    ),
}
_LAYERS = {"fc1": "head.hidden.0", "fc2": "head.linear", "b2": "head.norm"}
# Batch norms that the original's forward pass leaves out.
_UNUSED = ("b1.", "b3.")
_DIRECTIONS = "predictionLayer.W"
# Missing in files of old versions of torch.
_OPTIONAL = "b2.num_batches_tracked"


class Architecture(NamedTuple):
    """What the shapes of the parameters say of the network; `pooling` is one of `POOLINGS`."""

    num_blocks: int
    width: int
    pooling: str
    num_heads: int
    hidden_size: int
    embedding_size: int
    num_speakers: int

    def describe(self):
        """The network in the original's words.

        Example
        -------
        >>> Architecture(4, 1024, "multi_head", 16, 400, 400, 5994).describe()
        'VGG4L of width 1024 on 80 log-mel bins, MHA of 16 heads, embeddings of 400 values'
        """
        heads = "" if self.pooling == "attention" else f" of {self.num_heads} heads"
        return (
            f"VGG{self.num_blocks}L of width {self.width} on {NUM_MELS} log-mel bins, "
            f"{POOLINGS[self.pooling][0]}{heads}, embeddings of {self.embedding_size} values"
        )


class Converted(NamedTuple):
    """The network, and the state dictionaries of its EmbeddingExtractor and SpeakerClassifier."""

    architecture: Architecture
    extractor: dict
    classifier: dict


def convert(original):
    """The weights for this recipe's modules, which their shapes describe.

    Arguments
    ---------
    original : Original

    Returns
    -------
    converted : Converted

    Raises
    ------
    InputError
        If parameters are missing, unknown, of another shape or not finite, or the pooling is one
        that this recipe does not have.
    """
    original.parameters.setdefault(_OPTIONAL, torch.tensor(0))
    num_blocks, pooling = _num_blocks(original), _pooling(original)
    names = _extractor_names(num_blocks, pooling), _classifier_names()
    _check_names(original, names[0] | names[1])
    if pooling is None:
        raise _no_equal(original, "no parameters of a pooling, as with 'Statistical' pooling")
    architecture = _architecture(original, num_blocks, pooling)
    expected = [module.state_dict() for module in _modules(original, architecture)]
    _check_values(original, names[0] | names[1], expected[0] | expected[1], architecture)
    return Converted(
        architecture, *(_state(original, *both) for both in zip(names, expected, strict=True))
    )


def _num_blocks(original):
    return 4 if any(name.startswith("front_end.conv4") for name in original.parameters) else 3


def _pooling(original):
    """Which of the POOLINGS has one of the parameters; None if none has."""
    for pooling, (_, names) in POOLINGS.items():
        if any(f"poolingLayer.{name}" in original.parameters for name in names):
            return pooling
    return None


def _no_equal(original, what):
    known = ", ".join(name for name, _ in POOLINGS.values())
    return InputError(
        f"{original.path}: has {what}, which has no equal here: only the poolings {known} can be "
        "converted"
    )


def _extractor_names(num_blocks, pooling):
    """The original's names of all parameters of the extractor, and the names here."""
    names = {}
    for block, conv, kind in itertools.product(range(num_blocks), range(2), ("weight", "bias")):
        theirs = f"front_end.conv{block + 1}{conv + 1}.{kind}"
        names[theirs] = f"front_end.blocks.{block}.convs.{conv}.{kind}"
    pooling_names = POOLINGS[pooling][1] if pooling else {}
    for theirs, own in pooling_names.items():
        names[f"poolingLayer.{theirs}"] = f"pooling.{own}"
    return names | _layer_names(_LAYERS)


def _classifier_names():
    return _layer_names({"preLayer": "projection"}) | {_DIRECTIONS: "directions"}


def _layer_names(layers):
    kinds = {"b2": ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}
    return {
        f"{theirs}.{kind}": f"{own}.{kind}"
        for theirs, own in layers.items()
        for kind in kinds.get(theirs, ("weight", "bias"))
    }


def _check_names(original, names):
    problems = Problems()
    unused = [name for name in original.parameters if name.startswith(_UNUSED)]
    missing = [name for name in names if name not in original.parameters]
    unknown = [name for name in original.parameters if name not in {*names, *unused}]
    for what, found in (("missing", missing), ("unknown", unknown)):
        if found:
            problems.add(original.path, None, f"{what} parameters ({len(found)}): {listed(found)}")
    problems.raise_if_any()


def _architecture(original, num_blocks, pooling):
    query = [f"poolingLayer.{theirs}" for theirs in POOLINGS[pooling][1]][0]
    pooled = _shape(original, "fc1.weight", 2)[1]
    if pooling == "attention" and pooled == 2 * _shape(original, query, 2)[0]:
        raise _no_equal(original, "'Attention Statistical' pooling")
    return Architecture(
        num_blocks,
        width=_shape(original, f"front_end.conv{num_blocks}2.weight", 4)[0],
        pooling=pooling,
        num_heads=1 if pooling == "attention" else _shape(original, query, 2)[1],
        hidden_size=_shape(original, "fc1.weight", 2)[0],
        embedding_size=_shape(original, "fc2.weight", 2)[0],
        num_speakers=_shape(original, _DIRECTIONS, 2)[1],
    )


def _shape(original, name, num_axes):
    shape = tuple(original.parameters[name].shape)
    if len(shape) != num_axes or 0 in shape:
        raise InputError(
            f"{original.path}: {name} has the shape {shape}, expected {num_axes} sizes above 0"
        )
    return shape


def _modules(original, architecture):
    """The extractor and the classifier, without memory for their weights."""
    pooling = functools.partial(
        make_pooling, name=architecture.pooling, num_heads=architecture.num_heads
    )
    head = functools.partial(
        EmbeddingHead,
        embedding_size=architecture.embedding_size,
        hidden_size=architecture.hidden_size,
    )
    sizes = architecture.embedding_size, architecture.num_speakers
    try:
        with torch.device("meta"):
            front_end = VGG(vgg_channels(architecture.num_blocks, architecture.width), NUM_MELS)
            extractor = EmbeddingExtractor(front_end, pooling, head)
            return extractor, SpeakerClassifier(*sizes, projection=True)
    except ValueError as error:
        raise InputError(f"{original.path}: {architecture.describe()}: {error}") from error


def _turned(name, parameter):
    """Queries and directions are rows here, and columns there."""
    is_of_columns = name.startswith("poolingLayer.") or name == _DIRECTIONS
    return parameter.T if is_of_columns else parameter


def _state(original, names, expected):
    """Copies of the parameters by the names here, in the types of the modules here."""
    return {
        own: _turned(theirs, original.parameters[theirs])
        .to(expected[own].dtype)
        .clone(memory_format=torch.contiguous_format)
        for theirs, own in names.items()
    }


def _check_values(original, names, expected, architecture):
    problems = Problems()
    for name, own in names.items():
        found, wanted = original.parameters[name], _turned(name, expected[own])
        if found.shape != wanted.shape:
            message = f"{name} has the shape {tuple(found.shape)}, expected {tuple(wanted.shape)}"
            problems.add(original.path, None, f"{message} in {architecture.describe()}")
        elif found.is_floating_point() != wanted.is_floating_point():
            problems.add(original.path, None, f"{name} has numbers of the type {found.dtype}")
        elif not found.to(wanted.dtype).isfinite().all():
            problems.add(original.path, None, f"{name} has values that are no finite numbers")
    problems.raise_if_any()
