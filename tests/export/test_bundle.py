"""Modules of the recipe as one text."""

import ast
import importlib

import pytest
import torch

import local
from local.errors import InputError
from local.export.bundle import bundle
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
    own = VGG([4, 8])
    theirs = run(bundle(["local.models.vgg"]))["VGG"]([4, 8])
    theirs.load_state_dict(own.state_dict())
    features = torch.randn(2, 40, 80, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([40, 25])
    assert torch.equal(theirs(features, lengths)[0], own(features, lengths)[0])


def test_bundle_imports_libraries_only():
    tree = ast.parse(
        bundle(["local.features.log_mel", "local.models.embedding", "local.models.pooling"])
    )
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    at_top = [node for node in tree.body if node in imports]
    assert tree.body[: len(at_top)] == at_top
    names = [getattr(node, "module", None) or node.names[0].name for node in imports]
    assert "local" not in {name.split(".")[0] for name in names}


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
    with pytest.raises(InputError, match="local.second and local.first use the name 'same'"):
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
        "import local.models.padding\n",
        "from local import models\n",
        "from local.models import padding\n",
        "from local.models.padding import Padding as Limits\n",
        "from .models.padding import Padding\n",
        "from local.models.padding import *\n",
        "def later():\n    from local.models.padding import Padding\n",
    ],
)
def test_imports_that_do_not_give_names_as_they_are_are_refused(write_modules, text):
    write_modules(wrong=text)
    with pytest.raises(InputError, match=r"local.wrong:\d: can't be exported: import .* by `from"):
        bundle(["local.wrong"])


def test_names_that_a_module_hands_on_are_found(write_modules):
    write_modules(
        lowest="base = [1]\n",
        middle="from local.lowest import base\n\n__all__ = ['base']\n",
        top="from local.middle import base\n\n__all__ = ['top']\ntop = base + [2]\n",
    )
    assert run(bundle(["local.top"]))["top"] == [1, 2]
