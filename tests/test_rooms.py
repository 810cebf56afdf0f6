"""The rooms of local/ and what each of them may use: see docs/architecture.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Every room may use these modules.
COMMON = {"errors", "atomic"}
MAY_USE = {
    "errors": set(),
    "atomic": set(),
    "command_line": {"machine", "settings"},
    "settings": set(),
    "machine": set(),
    "audio": {"machine"},
    "lists": {"audio"},
    "models": set(),
    "features": {"models", "audio", "machine"},
    "augmentation": {"audio", "command_line", "data", "features", "machine", "models"},
    "data": {"lists", "audio", "features", "machine"},
    "model_files": {"features", "models"},
    "training": {"machine", "model_files", "models"},
    "embeddings": {"data", "machine"},
    "scoring": {"data", "lists"},
    "evaluation": {"scoring", "lists"},
    "report": {"evaluation"},
    "ablation": {
        "command_line",
        "data",
        "evaluation",
        "lists",
        "model_files",
        "models",
        "scoring",
        "settings",
        "training",
    },
    "export": {"data", "evaluation", "model_files", "models"},
    "corpora": {"audio", "command_line", "lists", "machine"},
}
# They know neither files nor settings, and lists need not wait for torch.
NEVER_IMPORTED = {
    "models": {"errors", "atomic", "hyperpyyaml", "soundfile"},
    "evaluation/metrics.py": {"errors", "atomic", "hyperpyyaml", "soundfile"},
    "lists": {"torch", "speechbrain"},
}
MODULES = sorted((ROOT / "local").glob("*/**/*.py")) + sorted((ROOT / "local").glob("[!_]*.py"))


def room_of(path):
    """The first part below local/: "audio" of audio/reading.py, "errors" of errors.py."""
    return path.relative_to(ROOT / "local").parts[0].removesuffix(".py")


def imported(path):
    """(line, dotted name) of everything that a module imports, also inside of functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def refused(path):
    """The imports of a module of local/ that go against the table, as text."""
    room = room_of(path)
    allowed = COMMON | {room} | MAY_USE[room]
    for line, name in imported(path):
        top, _, rest = name.partition(".")
        if top == "recipes" or (top == "local" and rest.split(".")[0] not in allowed):
            yield f"{path.relative_to(ROOT)}:{line}: {room} may not use {name}"


def test_every_room_is_in_the_table():
    assert {room_of(path) for path in MODULES} == set(MAY_USE)


def test_no_import_runs_against_the_table():
    assert [line for path in MODULES for line in refused(path)] == []


@pytest.mark.parametrize("place, names", NEVER_IMPORTED.items())
def test_what_a_room_does_not_know(place, names):
    start = ROOT / "local" / place
    for path in [start] if start.is_file() else start.rglob("*.py"):
        for line, name in imported(path):
            parts = name.split(".")
            known = parts[1] if parts[0] == "local" else parts[0]
            assert known not in names, f"{path.relative_to(ROOT)}:{line} imports {name}"


def test_no_script_imports_another():
    for path in (ROOT / "recipes").glob("*.py"):
        assert not [name for _, name in imported(path) if name.split(".")[0] == "recipes"], path
