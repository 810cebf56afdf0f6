"""model.yaml and hyperparams.yaml of a model directory, which a stranger may have written.

HyperPyYAML builds whatever such a file names, and thereby runs any program. Here a file becomes a
tree of YAML nodes, and nothing is built; see `local.model_files.building`.
"""

import functools
import re

import yaml

from local.atomic import read_text
from local.errors import InputError

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
    for number, (part, depth) in enumerate(walk(node)):
        if number > MAX_NODES or depth > MAX_DEPTH:
            raise InputError(f"{place(path, part)}: aliases repeat more than a model needs")
        _check_value(part, path)
    return node


def _check_size(events, path):
    depth = 0
    for number, event in enumerate(events):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if number > 2 * MAX_NODES or depth > MAX_DEPTH:
            what = "nested too deeply" if depth > MAX_DEPTH else "too long"
            raise InputError(f"{place(path, event)}: is {what} for the definition of a model")


def walk(node, depth=0):
    """(node, depth) of a node and all below it; what an alias stands for comes again."""
    yield node, depth
    if depth > MAX_DEPTH or isinstance(node, yaml.ScalarNode):
        return
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            yield from walk(part, depth + 1)


def _check_value(node, path):
    if isinstance(node, yaml.MappingNode):
        names = set()
        for name, _ in node.value:
            if name.tag != _TEXT or name.value in names:
                raise InputError(f"{place(path, name)}: a name is no text, or comes twice")
            names.add(name.value)
    elif isinstance(node, yaml.ScalarNode) and not own_tag(node):
        try:
            value_of(node)
        except ValueError as error:
            raise InputError(f"{place(path, node)}: {error}") from error


def place(path, node):
    return f"{path}:{node.start_mark.line + 1}"


def own_tag(node):
    """Its tag, such as !new:CLASS; None if it is a usual value, list or mapping."""
    kinds = {yaml.MappingNode: ("map",), yaml.SequenceNode: ("seq",)}.get(type(node))
    is_usual = node.tag.startswith(_CORE) and node.tag[len(_CORE) :] in (
        kinds or (*_SCALARS, "str")
    )
    return None if is_usual else node.tag


def value_of(node):
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
    tag = own_tag(node)
    kind = {"class": tag} if tag else {}
    if isinstance(node, yaml.MappingNode):
        return kind | {name.value: plain(value) for name, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        values = [plain(value) for value in node.value]
        return kind | {"arguments": values} if kind else values
    return kind or value_of(node)


def dump(node, package=None, module=None):
    """A definition as text, without comments, that other readers of YAML understand alike.

    Texts are quoted: HyperPyYAML looks for tuples, and programs in them, in those that are not.
    Names of `package` become names of `module`.
    """

    @functools.cache  # what an alias stands for stays one thing
    def copied(node):
        tag = own_tag(node)
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
