"""The definition of a model in YAML: taken apart, and written for another module."""

import io
import json
import re

from ruamel.yaml import YAML

from local.errors import InputError
from local.export.bundle import PACKAGE, split_path

# The tags of hyperpyyaml that name a class or function, and any of them.
_TAG = re.compile(rf"(!(?:new|name|apply):)({PACKAGE}(?:\.\w+)+)")
_ANY_TAG = re.compile(rf"!\w+:{PACKAGE}\b\S*")


def flow_text(value):
    """A setting as a line of YAML; a "class" becomes the tag, "arguments" what it is called with.

    Example
    -------
    >>> flow_text({"class": "!new:torch.nn.Linear", "arguments": [3, 4]})
    '!new:torch.nn.Linear [3, 4]'
    >>> flow_text({"class": "!new:torch.nn.BatchNorm1d", "num_features": 8, "affine": False})
    '!new:torch.nn.BatchNorm1d {"num_features": 8, "affine": false}'
    """
    if isinstance(value, dict):
        rest = {key: item for key, item in value.items() if key != "class"}
        rest = rest["arguments"] if list(rest) == ["arguments"] else rest
        if "class" in value:
            return f"{value['class']} {flow_text(rest)}"
        items = (f"{json.dumps(key)}: {flow_text(item)}" for key, item in rest.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow_text(item) for item in value) + "]"
    return json.dumps(value)


def block_text(path, keys):
    """Some keys of a YAML file as text, tags and all."""
    yaml = YAML()
    with open(path, encoding="utf-8") as file:
        content = yaml.load(file)
    text = io.StringIO()
    yaml.dump({key: content[key] for key in keys}, text)
    return text.getvalue()


def named_modules(text):
    """The modules of this recipe that the tags of a YAML text name.

    Example
    -------
    >>> named_modules("head: !name:local.models.embedding.EmbeddingHead")
    {'local.models.embedding'}
    """
    return {split_path(path)[0] for _, path in _TAG.findall(text)}


def with_module(text, module):
    """A YAML text whose tags name another module in place of the modules of this recipe.

    Raises
    ------
    InputError
        For a tag of which there would be nothing in the other module.

    Example
    -------
    >>> with_module("head: !name:local.models.embedding.EmbeddingHead", "other")
    'head: !name:other.EmbeddingHead'
    """
    renamed = _TAG.sub(lambda match: f"{match[1]}{module}.{split_path(match[2])[1]}", text)
    left = _ANY_TAG.search(renamed)
    if left:
        raise InputError(f"{left[0]}: can't be exported: only !new, !name and !apply can")
    return renamed
