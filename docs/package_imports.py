"""Which file of the package imports which, read from the files themselves."""

from __future__ import annotations

import ast
import importlib.util
from collections import defaultdict
from functools import cache
from pathlib import Path

import adjointbench

ROOT = Path(adjointbench.__path__[0]).resolve().parent

#: The folders, each of which may import those before it.
FOLDERS = ("problems", "adjoints", "training", "suite", "reports", "adjointbench")


def module_of(file: Path) -> str:
    """The name under which a file is imported."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] == "adjointbench" else ("adjointbench", *parts))


@cache
def files() -> dict[str, Path]:
    """Every file by its module; asv's benchmarks use the package and are no part of it."""
    return {
        module_of(file): file
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        if "benchmarks" not in file.parts
    }


@cache
def imports() -> dict[str, set[str]]:
    """The modules of the package that each module imports, within functions too."""
    return {module: _imports_of(module, file) for module, file in files().items()}


def _imports_of(module: str, file: Path) -> set[str]:
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            name = f"{'.' * node.level}{node.module or ''}"
            base = importlib.util.resolve_name(name, package)
            whole = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name if name in files() else base for name in whole}
    return (found & files().keys()) - {module}


def folder_of(module: str) -> str:
    """The folder at the top in which a module lies."""
    return files()[module].relative_to(ROOT).parts[0]


def room_of(module: str) -> str:
    """The folder in which a module lies, such as ``adjoints/jax``."""
    return files()[module].parent.relative_to(ROOT).as_posix()


def arrows(of: str) -> dict[str, set[str]]:
    """What each room, or each folder at the top, imports.

    Parameters
    ----------
    of : {"rooms", "folders"}
    """
    place = {"rooms": room_of, "folders": folder_of}[of]
    found: dict[str, set[str]] = defaultdict(set)
    for module, imported in imports().items():
        found[place(module)] |= {place(other) for other in imported} - {place(module)}
    return dict(found)
