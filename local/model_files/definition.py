"""The text of a model.yaml to the features and the network that it defines; runs nothing else."""

import contextlib
import functools
import re

import torch
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
)
from ruamel.yaml.nodes import MappingNode, SequenceNode

from local.atomic import read_text
from local.errors import InputError
from local.features.log_mel import LogMel
from local.models import pooling
from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.ensemble import Ensemble
from local.models.front_ends import make_front_end
from local.models.vgg import VGG, vgg_channels

# All that a definition may name. VGG and vgg_channels stand in those from before make_front_end.
ADMITTED = {
    "local.features.LogMel": LogMel,
    "local.models.embedding.EmbeddingExtractor": EmbeddingExtractor,
    "local.models.embedding.EmbeddingHead": EmbeddingHead,
    "local.models.ensemble.Ensemble": Ensemble,
    "local.models.front_ends.make_front_end": make_front_end,
    "local.models.pooling.make_pooling": pooling.make_pooling,
    **{f"local.models.pooling.{kind.__name__}": kind for kind in pooling.POOLINGS.values()},
    "local.models.vgg.VGG": VGG,
    "local.models.vgg.vgg_channels": vgg_channels,
}
# Values are numbers and words. HyperPyYAML, which reads exported models, would take others for
# references, or for tuples with programs in them.
_VALUE = re.compile(r"[\w.+-]*", re.ASCII)
# A definition has some 700 bytes, and 4 levels.
MAX_BYTES = 20_000
MAX_DEPTH = 20
# Of a number of channels, values, samples ...
MAX_NUMBER = 1_000_000
SAMPLE_RATES = range(1000, 768_001)


def read_definition(path):
    """The text of a definition, in which there is nothing but plain values and admitted names.

    Arguments
    ---------
    path : str or Path
        Of a `model.yaml`, perhaps a stranger's.

    Raises
    ------
    InputError
        If it can't be read, is too long, is not YAML, or has another tag or an alias; nothing of it
        is built.
    """
    text = read_text(path, max_bytes=MAX_BYTES)
    check_definition(text, path)
    return text


def check_definition(text, path):
    """Raises an InputError as `read_definition` does; `path` is for its message."""
    for line, event in yaml_events(text, path):
        place = f"{path}:{line}"
        if isinstance(event, AliasEvent):
            raise InputError(f"{place}: the definition of a model has no aliases")
        tag = getattr(event, "tag", None)
        if tag is not None and not _admitted(tag):
            raise InputError(
                f"{place}: {tag} is none of the classes and functions that a model consists of, "
                "which local/model_files/definition.py lists. Nothing was built"
            )
        value = getattr(event, "value", "")
        if not _VALUE.fullmatch(value) or (tag and value):
            raise InputError(f"{place}: {value[:40]!r} is no value in the definition of a model")


def _admitted(tag):
    """("new", class), ("name", class) or ("apply", function) of a tag; None of others."""
    kind, _, name = str(tag).removeprefix("!").partition(":")
    return (kind, ADMITTED[name]) if kind in ("new", "name", "apply") and name in ADMITTED else None


def yaml_events(text, path):
    """Goes through a YAML text, before anything is made of it: (line, event of its parser).

    Raises an InputError if it is not YAML, nested deeply, or more than one document.
    """
    depth = documents = 0
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            line = event.start_mark.line + 1
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            documents += isinstance(event, DocumentStartEvent)
            if depth > MAX_DEPTH or documents > 1 or getattr(event, "tags", None):
                raise InputError(f"{path}:{line}: deep nesting, documents and %TAG are not read")
            yield line, event
    except (YAMLError, ValueError) as error:
        raise InputError(f"{path}: is not valid YAML: {error}") from error


def build_definition(text, path):
    """Builds what a text of `read_definition` defines; `path` is for messages.

    Returns
    -------
    model : dict
        sample_rate, features and extractor.

    Raises
    ------
    InputError
        If it lacks one of these, or a class can't be built with what it is given.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        found = _build(yaml.compose(text), yaml.constructor)
        model = {key: found[key] for key in ("sample_rate", "features", "extractor")}
    except Exception as error:  # whatever a class says of values that it doesn't take
        message = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: no model can be built from it ({message})") from error
    for key, kind in {
        "sample_rate": int,
        "features": LogMel,
        "extractor": EmbeddingExtractor | Ensemble,
    }.items():
        if not isinstance(model[key], kind):
            raise InputError(f"{path}: {key} can't be of type {type(model[key]).__name__}")
    if model["sample_rate"] not in SAMPLE_RATES:
        raise InputError(f"{path}: sample_rate {model['sample_rate']} is no rate of audio in Hz")
    return model


@contextlib.contextmanager
def sketching():
    """A block in which modules are made that have shapes and take no memory."""
    with torch.device("meta"), _NoDraws():
        yield


class _NoDraws(torch.overrides.TorchFunctionMode):
    """Leaves out normal numbers: to draw none of them, torch imports 850 modules in 2 seconds."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return args[0] if func is torch.Tensor.normal_ else func(*args, **(kwargs or {}))


def _build(node, constructor):
    """A YAML node to its value, with the tags of HyperPyYAML: !new, !name and !apply."""
    made_by = _admitted(node.tag)
    arguments, settings = [], {}
    if isinstance(node, MappingNode):
        settings = {key.value: _build(value, constructor) for key, value in node.value}
    elif isinstance(node, SequenceNode):
        arguments = [_build(value, constructor) for value in node.value]
    elif not made_by:
        return _plain(constructor.construct_object(node))
    if not made_by:
        return settings if isinstance(node, MappingNode) else arguments
    kind, function = made_by
    make = functools.partial(function, *arguments, **settings)
    return make if kind == "name" else make()


def _plain(value):
    if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
        raise ValueError(f"{value} is no number of a model")
    return value
