"""Modules of this recipe to one text, which runs where the recipe is not installed."""

import ast
import importlib.util
import symtable
from pathlib import Path

from local.errors import InputError

PACKAGE = "local"


def bundle(module_names):
    """The source of modules, and of all modules of this recipe that they import, as one text.

    The imports of libraries come first. Those of the recipe's modules are left out, as what they
    name is in the same text.

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
        If two modules use one name for different things, or a module imports from the recipe in
        another way than by `from local.module import name` at its top.

    Example
    -------
    >>> source = bundle(["local.models.vgg"])
    >>> namespace = {}
    >>> exec(source, namespace)
    >>> namespace["VGG"]([8, 16]).output_size
    320
    """
    bodies = {}  # module: source
    meanings = {}  # name: (the module that defines it, or an import statement; the first user)
    for name in sorted(module_names):
        _add(name, bodies, meanings)
    imports = {meaning for meaning, _ in meanings.values()} - set(bodies)
    first = sorted(imports, key=lambda statement: (statement.startswith("from"), statement))
    return "\n\n\n".join(["\n".join(first), *bodies.values()]) + "\n"


def _add(name, bodies, meanings):
    """Adds a module behind all that it needs, unless it is there already."""
    if name in bodies:
        return
    text = Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")
    tree = ast.parse(text)
    for node in filter(_is_own_import, ast.walk(tree)):
        is_plain = isinstance(node, ast.ImportFrom) and not node.level and node in tree.body
        if is_plain:
            _add(node.module, bodies, meanings)
        if not is_plain or any(alias.asname or alias.name not in meanings for alias in node.names):
            raise InputError(
                f"{name}:{node.lineno}: can't be exported: import from the recipe by `from "
                f"{PACKAGE}.module import name`, at the top of the module"
            )
    for what, meaning in (dict.fromkeys(_defined_names(text), name) | _imports(tree)).items():
        first, user = meanings.setdefault(what, (meaning, name))
        if first != meaning:
            raise InputError(
                f"{name} and {user} use the name '{what}' for different things: they can't be "
                "exported together, so rename one"
            )
    bodies[name] = f"# --- {name}\n\n{_without_imports(text, tree)}"


def _is_own_import(node):
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or node.module.split(".")[0] == PACKAGE
    names = node.names if isinstance(node, ast.Import) else []
    return any(alias.name.split(".")[0] == PACKAGE for alias in names)


def _defined_names(text):
    """The names that a module itself gives to something, outside of functions and classes."""
    symbols = symtable.symtable(text, "module", "exec").get_symbols()
    names = [s.get_name() for s in symbols if s.is_assigned() and not s.is_imported()]
    return [name for name in names if name != "__all__"]


def _imports(tree):
    """The imports of libraries at the top of a module: {name: statement}."""
    statements = {}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and not _is_own_import(node):
            prefix = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                statements[alias.asname or alias.name] = f"{prefix}import {ast.unparse(alias)}"
    return statements


def _without_imports(text, tree):
    """The text of a module without its docstring and the imports at its top."""
    lines = text.splitlines()
    for node in tree.body:
        is_docstring = node is tree.body[0] and ast.get_docstring(tree) is not None
        if is_docstring or isinstance(node, ast.Import | ast.ImportFrom):
            lines[node.lineno - 1 : node.end_lineno] = [None] * (node.end_lineno - node.lineno + 1)
    return "\n".join(line for line in lines if line is not None).strip("\n")
