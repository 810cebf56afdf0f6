"""Modules as one text, and the definition of a model in YAML."""

import ast
import importlib

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from hypothesis import given
from hypothesis import strategies as st

import local
from local.errors import InputError
from local.export.bundle import bundle, bundle_name, split_path
from local.export.yaml_text import block_text, flow_text, named_modules, with_module
from local.models.vgg import VGG


@pytest.fixture
def write_modules(tmp_path, monkeypatch):
    """Adds modules to `local`, for the test: a text for each name."""
    monkeypatch.setattr(local, "__path__", [*local.__path__, str(tmp_path)])

    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()

    return write


def run(source):
    namespace = {}
    exec(source, namespace)
    return namespace


def test_bundle_computes_the_same():
    torch.manual_seed(0)
    own = VGG([4, 8])
    theirs = run(bundle(["local.models.vgg"]))["VGG"]([4, 8])
    theirs.load_state_dict(own.state_dict())
    features, lengths = torch.randn(2, 40, 80), torch.tensor([40, 25])
    assert torch.equal(theirs(features, lengths)[0], own(features, lengths)[0])


def test_bundle_imports_libraries_only():
    tree = ast.parse(
        bundle(["local.features.log_mel", "local.models.embedding", "local.models.pooling"])
    )
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert tree.body[: len(imports)] == imports
    names = [getattr(node, "module", None) or node.names[0].name for node in imports]
    assert {name.split(".")[0] for name in names} == {"math", "numpy", "speechbrain", "torch"}


def test_what_is_needed_comes_first_and_once(write_modules):
    write_modules(
        lowest="base = [1]\n",
        left='"""Doc."""\n\nfrom local.lowest import base\n\nleft = base + [2]\n',
        right="from local.lowest import (\n    base,\n)\n\nright = base + [3]  # why\n",
        top="from local.right import right\nfrom local.left import left\n\ntop = left + right\n",
    )
    source = bundle(["local.top", "local.left"])
    assert run(source)["top"] == [1, 2, 1, 3]
    assert source.count("base = [1]") == 1 and "# why" in source and "Doc." not in source


def test_order_of_the_names_does_not_matter():
    names = ["local.features.log_mel", "local.models.vgg", "local.models.pooling"]
    assert bundle(names) == bundle(names[::-1])


@pytest.mark.parametrize(
    "first, second",
    [
        ("def same():\n    pass\n", "same = 1\n"),
        ("from math import pi as same\n", "same = 3\n"),
        ("from math import pi as same\n", "from math import e as same\n"),
        ("import numpy as same\n", "import torch as same\n"),
        ("import math as same\n", "for same in ():\n    pass\n"),
    ],
)
def test_clashing_names_are_refused(write_modules, first, second):
    write_modules(first=first, second=second)
    with pytest.raises(InputError, match="local.second and local.first both have a name 'same'"):
        bundle(["local.first", "local.second"])


def test_the_same_imports_do_not_clash(write_modules):
    write_modules(
        first="import os.path\nimport math\n\none = os.path.sep\n",
        second="import os\nimport math, os.path\n\nother = math.pi\n",
    )
    namespace = run(bundle(["local.first", "local.second"]))
    assert namespace["one"] == "/" and namespace["other"] > 3


@pytest.mark.parametrize(
    "text",
    [
        "import local.models.ends\n",
        "from local import ends\n",
        "from local.models.ends import Ends as Limits\n",
        "from .ends import Ends\n",
        "from local.models.ends import *\n",
        "def later():\n    from local.models.ends import Ends\n",
        "from local.models.pooling import length_mask\n",  # which it only imports itself
    ],
)
def test_imports_that_do_not_give_names_as_they_are_are_refused(write_modules, text):
    write_modules(wrong=text)
    with pytest.raises(InputError, match=r"local.wrong:\d: can't be exported: import .* by `from"):
        bundle(["local.wrong"])


def test_unknown_modules_are_refused(write_modules):
    write_modules(wrong="from local.nowhere import name\n")
    for name in ("local.nowhere", "local.wrong"):
        with pytest.raises(InputError, match="local.nowhere: there is no such module"):
            bundle([name])
    with pytest.raises(InputError, match="nowhere.at.all: there is no such module"):
        split_path("nowhere.at.all")


def test_name_is_of_the_source():
    assert bundle_name("a = 1") == bundle_name("a = 1") != bundle_name("a = 2")
    assert bundle_name("a = 1").isidentifier()


# Not every character: hyperpyyaml writes YAML once more, and folds long lines at colons, too.
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("ab1_-./é"),
    lambda items: (
        st.lists(items) | st.dictionaries(st.sampled_from(["alpha", "beta_2", "C"]), items)
    ),
)


@given(plain)
def test_plain_settings_survive_as_a_line_of_yaml(value):
    text = flow_text({"class": "!new:builtins.list", "arguments": [[value]]})
    assert "\n" not in text
    assert load_hyperpyyaml(f"x: {text}")["x"] == [value]


def test_nested_objects_are_made():
    text = flow_text(
        {"class": "!new:torch.nn.Sequential", "arguments": [{"class": "!new:torch.nn.ReLU"}]}
    )
    assert isinstance(load_hyperpyyaml(f"x: {text}")["x"][0], torch.nn.ReLU)


def test_definition_names_another_module(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text(
        "rate: 3\n"
        "front_end: !new:local.models.vgg.VGG\n"
        "  channels: !apply:local.models.vgg.vgg_channels [2, 8]\n"
        "norm: !name:torch.nn.BatchNorm1d\n"
        "pooling: !name:local.models.pooling.Statistics\n"
    )
    text = block_text(path, ["front_end", "norm", "pooling"])
    assert named_modules(text) == {"local.models.vgg", "local.models.pooling"}
    renamed = with_module(text, "other")
    assert "front_end: !new:other.VGG\n" in renamed and "!apply:other.vgg_channels" in renamed
    assert "!name:torch.nn.BatchNorm1d" in renamed and "rate" not in renamed


def test_tags_of_whole_modules_are_refused():
    with pytest.raises(InputError, match="!module:local.models.ends: can't be exported"):
        with_module("ends: !module:local.models.ends", "other")
