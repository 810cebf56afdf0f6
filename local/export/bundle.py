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
        If a module does not exist, two modules use one name for different things, or a module
        imports from the recipe in another way than by `from local.module import name` at its top.

    Example
    -------
    >>> source = bundle(["local.models.vgg"])
    >>> namespace = {}
    >>> exec(source, namespace)
    >>> namespace["VGG"]([8, 16]).output_size
    320
    """
    collected = _Bundle()
    for name in sorted(module_names):
        collected.add(name)
    return collected.text()


class _Bundle:
    """The modules so far: their sources, and what each name in them means."""

    def __init__(self):
        self.bodies = {}  # module: source
        self.meanings = {}  # name: (the module that defines it, or a statement; the first user)
        self.imports = set()  # statements
        self.wanted = {}  # name that is imported from the recipe: MODULE:LINE

    def add(self, name):
        """Adds a module behind all that it needs, unless it is there already."""
        if name in self.bodies:
            return
        text = _source(name)
        tree = ast.parse(text)
        for statement in _own_imports(tree, name):
            self.add(statement.module)
            place = f"{name}:{statement.lineno}"
            self.wanted |= {alias.name: place for alias in statement.names}
        imports = _library_imports(tree)
        self.imports.update(imports.values())
        self._check_names(name, dict.fromkeys(_defined_names(text), name) | imports)
        self.bodies[name] = f"# --- {name}\n\n{_without_imports(text, tree)}"

    def _check_names(self, name, meanings):
        for what, meaning in meanings.items():
            first, user = self.meanings.setdefault(what, (meaning, name))
            if first != meaning:
                raise InputError(
                    f"{name} and {user} use the name '{what}' for different things: they can't be "
                    "exported together, so rename one"
                )

    def text(self):
        for what, place in self.wanted.items():
            if what not in self.meanings:
                raise _refusal(place)
        imports = sorted(self.imports, key=lambda line: (line.startswith("from"), line))
        return "\n\n\n".join(["\n".join(imports), *self.bodies.values()]) + "\n"


def _source(name):
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if not spec or not spec.origin:
        raise InputError(f"{name}: there is no such module in this recipe")
    return Path(spec.origin).read_text(encoding="utf-8")


def _own_imports(tree, name):
    """The `from local.module import name` statements; other imports of the recipe are refused."""
    own = [node for node in ast.walk(tree) if _is_own_import(node)]
    for node in own:
        is_plain = isinstance(node, ast.ImportFrom) and not node.level and node in tree.body
        if not is_plain or any(alias.asname for alias in node.names):
            raise _refusal(f"{name}:{node.lineno}")
    return own


def _refusal(place):
    return InputError(
        f"{place}: can't be exported: import from the recipe by `from {PACKAGE}.module import "
        "name`, at the top of the module"
    )


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


def _library_imports(tree):
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
