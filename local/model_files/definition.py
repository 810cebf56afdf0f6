"""model.yaml and hyperparams.yaml of a model directory, which a stranger may have written.

HyperPyYAML builds whatever such a file names, and thereby runs any program. Here a file becomes a
tree of YAML nodes, of which nothing is built but what `BUILDABLE` names.
"""

import functools
import importlib
import re

import yaml

from local.atomic import read_text
from local.errors import InputError
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
# A model.yaml has 30 values, a hyperparams.yaml 300; aliases count as often as they are used.
MAX_BYTES = 1_000_000
MAX_NODES = 10_000
MAX_DEPTH = 30

_CORE = "tag:yaml.org,2002:"
_TEXT = _CORE + "str"
# YAML 1.2, which the recipe writes: PyYAML's own rules would read `no` as False, and 1e-3 as text.
_SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?([0-9][0-9_]*|0x[0-9a-fA-F_]+|0o[0-7_]+)",
    "float": r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    yaml_implicit_resolvers = {}


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
    yaml_implicit_resolvers = {}


for _kind, _pattern in _SCALARS.items():
    for _handler in (_Loader, _Dumper):
        _handler.add_implicit_resolver(_CORE + _kind, re.compile(rf"(?:{_pattern})\Z"), None)


def read(path):
    """Reads a definition; nothing of it is built.

    Returns
    -------
    node : yaml.MappingNode

    Raises
    ------
    InputError
        If it can't be read, is no mapping, is too large or too deep, or has a value that is none.
    """
    return parse(read_text(path, max_bytes=MAX_BYTES), path)


def parse(text, path):
    """The node of a text; `path` is for messages. See `read`."""
    try:
        # Before it is put together, which calls itself for each level.
        _check_size(yaml.parse(text, Loader=_Loader), path)
        node = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is damaged, or not YAML ({error})") from error
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{path}: holds no settings (expected `name: value` lines)")
    for number, (part, depth) in enumerate(_walk(node)):
        if number > MAX_NODES or depth > MAX_DEPTH:
            raise InputError(f"{_place(path, part)}: aliases repeat more than a model can have")
        _check_value(part, path)
    return node


def _check_size(events, path):
    depth = 0
    for number, event in enumerate(events):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if number > 2 * MAX_NODES or depth > MAX_DEPTH:
            what = "nested too deeply" if depth > MAX_DEPTH else "too long"
            raise InputError(f"{_place(path, event)}: is {what} for the definition of a model")


def _walk(node, depth=0):
    """(node, depth) of a node and all below it; what an alias stands for comes again."""
    yield node, depth
    if depth > MAX_DEPTH or isinstance(node, yaml.ScalarNode):
        return
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            yield from _walk(part, depth + 1)


def _check_value(node, path):
    try:
        if isinstance(node, yaml.MappingNode):
            _names(node)
        elif isinstance(node, yaml.ScalarNode) and not _own_tag(node):
            _value(node)
    except ValueError as error:
        raise InputError(f"{_place(path, node)}: {error}") from error


def _place(path, node):
    return f"{path}:{node.start_mark.line + 1}"


def _own_tag(node):
    """Its tag, such as !new:CLASS; None if it is a usual value, list or mapping."""
    kinds = {yaml.MappingNode: ("map",), yaml.SequenceNode: ("seq",)}.get(type(node))
    is_usual = node.tag.startswith(_CORE) and node.tag[len(_CORE) :] in (
        kinds or (*_SCALARS, "str")
    )
    return None if is_usual else node.tag


def _names(node):
    """The keys of a mapping."""
    names = [name.value for name, _ in node.value if name.tag == _TEXT]
    if len(names) < len(node.value) or len(set(names)) < len(names):
        raise ValueError("a name that is no text, or comes twice")
    return names


def _value(node):
    """The value of a scalar."""
    kind, text = node.tag[len(_CORE) :], node.value
    if kind == "str":
        return text
    if not re.fullmatch(_SCALARS[kind], text):
        raise ValueError(f"{text!r} is no {kind}")
    if kind in ("null", "bool"):
        return None if kind == "null" else text.lower() == "true"
    digits = text.lower().replace("_", "")
    if kind == "float":
        return float(digits.replace(".inf", "inf").replace(".nan", "nan"))
    return int(digits, 0 if "x" in digits or "o" in digits else 10)


def plain(node):
    """A node as plain Python types; its tag, such as !new:CLASS, stands under "class".

    Example
    -------
    >>> plain(parse("channels: !apply:local.models.vgg.vgg_channels [4, 32]", "model.yaml"))
    {'channels': {'class': '!apply:local.models.vgg.vgg_channels', 'arguments': [4, 32]}}
    """
    tag = _own_tag(node)
    kind = {"class": tag} if tag else {}
    if isinstance(node, yaml.MappingNode):
        return kind | {name.value: plain(value) for name, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        values = [plain(value) for value in node.value]
        return kind | {"arguments": values} if kind else values
    return kind or _value(node)


def check(node, path):
    """Refuses a definition that names anything that is not in `BUILDABLE`."""
    for part, _ in _walk(node):
        tag = _own_tag(part)
        kind, _, name = (tag or "").partition(":")
        is_call = isinstance(part, yaml.ScalarNode) and part.value
        if tag and (kind not in ("!new", "!name", "!apply") or name not in BUILDABLE or is_call):
            raise InputError(
                f"{_place(path, part)}: {tag} is refused, and nothing was built: a model consists "
                f"of what BUILDABLE in {__name__} names"
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
        tag = _own_tag(node)
        if isinstance(node, yaml.ScalarNode) and not tag:
            return _value(node)
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
            raise InputError(f"{_place(self.path, node)}: {tag}: {error}") from error


def modules(node):
    """The names of all modules of what a definition builds."""
    tags = filter(None, (_own_tag(part) for part, _ in _walk(node)))
    return {tag.partition(":")[2].rpartition(".")[0] for tag in tags}


def dump(node, package=None, module=None):
    """A definition as text, without comments, that other readers of YAML understand alike.

    Texts are quoted: HyperPyYAML looks for tuples, and programs in them, in those that are not.
    Names of `package` become names of `module`.
    """

    @functools.cache  # what an alias stands for stays one thing
    def copied(node):
        tag = _own_tag(node)
        kind, _, name = (tag or "").partition(":")
        if module and name.startswith(f"{package}."):
            tag = f"{kind}:{module}.{name.rpartition('.')[2]}"
        tag = tag or node.tag
        if isinstance(node, yaml.MappingNode):
            pairs = [(copied(name), copied(value)) for name, value in node.value]
            return yaml.MappingNode(tag, pairs, flow_style=False)
        if isinstance(node, yaml.SequenceNode):
            return yaml.SequenceNode(tag, list(map(copied, node.value)), flow_style=True)
        is_word = re.fullmatch(r"[a-zA-Z_]\w*", node.value, re.ASCII)
        return yaml.ScalarNode(tag, node.value, style=None if is_word or tag != _TEXT else '"')

    return yaml.serialize(copied(node), Dumper=_Dumper, allow_unicode=True, width=100)
