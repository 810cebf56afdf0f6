"""Modules of this recipe as one text, which runs where the recipe is not installed."""

import ast
import hashlib
import importlib.util
import symtable
from pathlib import Path
from typing import NamedTuple

from local.errors import InputError

PACKAGE = "local"
NAME_PREFIX = "speaker_embedding_"


class _Module(NamedTuple):
    name: str
    text: str
    tree: ast.Module


def bundle(module_names):
    """The source of modules, and of all modules of this recipe that they import, as one text.

    Imports of the recipe's modules fall away, as what they name is in the same text; those of
    libraries come first.

    Arguments
    ---------
    module_names : iterable of str
        Such as local.features.log_mel.

    Returns
    -------
    source : str

    Raises
    ------
    InputError
        If two modules give different things the same name, or one imports another module of the
        recipe in another way than by `from local.module import name` at its top.

    Example
    -------
    >>> source = bundle(["local.models.vgg"])
    >>> namespace = {}
    >>> exec(source, namespace)
    >>> namespace["VGG"]([8, 16]).output_size
    320
    """
    modules = _with_needed(module_names)
    _refuse_clashes(modules)
    statements = {text for module in modules for _, text in _library_imports(module)}
    imports = sorted(statements, key=lambda text: (text.startswith("from"), text))
    bodies = [f"# --- {module.name}\n\n{_without_imports(module)}" for module in modules]
    return "\n\n\n".join(["\n".join(imports), *bodies]) + "\n"


def bundle_name(source):
    """The name of the module to make of a bundle: another one for each source.

    Example
    -------
    >>> bundle_name("x = 1")
    'speaker_embedding_8ff436def145'
    """
    return NAME_PREFIX + hashlib.sha256(source.encode()).hexdigest()[:12]


def split_path(path):
    """The module of a dotted path, and the name in it: the longest beginning that is a module.

    Raises
    ------
    InputError
        If there is no such module.

    Example
    -------
    >>> split_path("local.models.vgg.VGG")
    ('local.models.vgg', 'VGG')
    """
    parts = path.split(".")
    for count in range(len(parts) - 1, 0, -1):
        if _source_path(".".join(parts[:count])):
            return ".".join(parts[:count]), ".".join(parts[count:])
    raise InputError(f"{path}: there is no such module in this recipe")


def _source_path(name):
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    return spec and spec.origin


def _with_needed(module_names):
    """The modules with those that they import, each behind what it needs."""
    modules = {}

    def add(name):
        if name not in modules:
            module = _read(name)
            for statement in _own_imports(module):
                add(statement.module)
            modules[name] = module

    for name in sorted(module_names):
        add(name)
    return list(modules.values())


def _read(name):
    path = _source_path(name)
    if not path:
        raise InputError(f"{name}: there is no such module in this recipe")
    text = Path(path).read_text(encoding="utf-8")
    return _Module(name, text, ast.parse(text))


def _own_imports(module):
    """The `from local.module import name` statements; others of this recipe are refused."""
    known = [node for node in module.tree.body if _is_own_import(node)]
    for node in ast.walk(module.tree):
        if node not in known and _mentions_recipe(node):
            raise InputError(
                f"{module.name}:{node.lineno}: can't be exported: import from the recipe by "
                f"`from {PACKAGE}.module import name`, at the top of the module"
            )
    return known


def _is_own_import(node):
    """Whether it takes names, and as they are, out of a module of the recipe."""
    if not isinstance(node, ast.ImportFrom) or node.level or not _is_own(node.module):
        return False
    names = _defined_names(_read(node.module))
    return all(alias.name in names and not alias.asname for alias in node.names)


def _mentions_recipe(node):
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or _is_own(node.module)
    return isinstance(node, ast.Import) and any(_is_own(alias.name) for alias in node.names)


def _is_own(name):
    return name.split(".")[0] == PACKAGE


def _defined_names(module):
    """The names that a module itself gives to something, outside of functions and classes."""
    symbols = symtable.symtable(module.text, module.name, "exec").get_symbols()
    return [s.get_name() for s in symbols if s.is_assigned() and not s.is_imported()]


def _library_imports(module):
    """(name that it binds, statement) of the imports at the top of a module."""
    for node in module.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and not _mentions_recipe(node):
            prefix = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                bound = alias.asname or alias.name.split(".")[0]
                yield bound, f"{prefix}import {ast.unparse(alias)}"


def _refuse_clashes(modules):
    owners = {}
    for module in modules:
        meanings = {name: module.name for name in _defined_names(module)}
        for name, statement in _library_imports(module):
            # Of `import a.b` and `import a.c`, both make `a` the same.
            is_plain = statement.startswith(f"import {name}.")
            meanings[name] = f"import {name}" if is_plain else statement
        for name, meaning in meanings.items():
            if owners.setdefault(name, (meaning, module.name))[0] != meaning:
                raise InputError(
                    f"{module.name} and {owners[name][1]} both have a name '{name}', for different "
                    "things: they can't be exported together, so rename one"
                )


def _without_imports(module):
    """The text without the imports at its top and without its docstring."""
    lines = module.text.splitlines()
    for node in module.tree.body:
        is_docstring = node is module.tree.body[0] and ast.get_docstring(module.tree)
        if is_docstring or isinstance(node, ast.Import | ast.ImportFrom):
            lines[node.lineno - 1 : node.end_lineno] = [None] * (node.end_lineno - node.lineno + 1)
    return "\n".join(line for line in lines if line is not None).strip("\n")
