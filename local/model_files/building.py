"""The definition of a model to its features and its network, and nothing else."""

import functools
import importlib

import yaml

from local.errors import InputError
from local.model_files.definition import own_tag, place, value_of, walk
from local.model_files.limits import limited

# All that a model.yaml may name, each in full. A pooling of `make_pooling` needs no entry, a front
# end does. Its arguments may be anything: with all of them it must do nothing but compute.
BUILDABLE = {
    "local.features.LogMel",
    "local.models.vgg.VGG",
    "local.models.vgg.vgg_channels",
    "local.models.pooling.make_pooling",
    "local.models.pooling.TemporalAverage",
    "local.models.pooling.Statistics",
    "local.models.pooling.AttentiveStatistics",
    "local.models.pooling.MultiHeadAttention",
    "local.models.pooling.DoubleMultiHeadAttention",
    "local.models.embedding.EmbeddingExtractor",
    "local.models.embedding.EmbeddingHead",
}


def check(node, path):
    """Refuses a definition that names anything that is not in `BUILDABLE`."""
    for part, _ in walk(node):
        tag = own_tag(part)
        kind, _, name = (tag or "").partition(":")
        is_call = isinstance(part, yaml.ScalarNode) and part.value
        if tag and (kind not in ("!new", "!name", "!apply") or name not in BUILDABLE or is_call):
            raise InputError(
                f"{place(path, part)}: {tag} is refused, and nothing was built: a model.yaml names "
                f"nothing but the parts of a model (BUILDABLE in {__name__})"
            )


def build(node, path, num_bytes):
    """Builds what a definition describes.

    Arguments
    ---------
    node : yaml.Node
        From `read`.
    path : str or Path
        Of the file, for messages.
    num_bytes : int
        Of the model's weights: a network that needs much more is not built.

    Returns
    -------
    model : dict

    Raises
    ------
    InputError
        If it names anything that is not in `BUILDABLE`, or can't be built.
    """
    check(node, path)
    with limited(num_bytes):
        return _Builder(path).made(node)


class _Builder:
    """Nodes to objects. What an alias stands for is built once."""

    def __init__(self, path):
        self.path = path
        self.done = {}

    def made(self, node):
        if node not in self.done:
            self.done[node] = self._make(node)
        return self.done[node]

    def _make(self, node):
        tag = own_tag(node)
        if isinstance(node, yaml.ScalarNode) and not tag:
            return value_of(node)
        args, kwargs = [], {}
        if isinstance(node, yaml.MappingNode):
            kwargs = {name.value: self.made(value) for name, value in node.value}
        elif isinstance(node, yaml.SequenceNode):
            args = [self.made(value) for value in node.value]
        if not tag:
            return kwargs if isinstance(node, yaml.MappingNode) else args
        kind, _, name = tag.partition(":")
        module, _, attribute = name.rpartition(".")
        target = getattr(importlib.import_module(module), attribute)
        if kind == "!name":
            return functools.partial(target, *args, **kwargs)
        try:
            return target(*args, **kwargs)
        except Exception as error:  # its arguments may be anything
            raise InputError(f"{place(self.path, node)}: {tag}: {error}") from error


def modules(node):
    """The names of all modules of what a definition builds."""
    tags = filter(None, (own_tag(part) for part, _ in walk(node)))
    return {tag.partition(":")[2].rpartition(".")[0] for tag in tags}
