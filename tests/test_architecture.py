"""How the parts of the package depend on each other: one way, and never in a circle."""

import ast
import graphlib
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: The folders, each of which may import those before it.
FOLDERS = ("problems", "adjoints", "training", "suite", "reports", "adjointbench")

#: The folders within these, likewise; the last is what lies in none of them.
ROOMS = {
    "suite": ("measuring", "measuring.studies", "claims", "own_problem", ""),
    "reports": ("tables", "figures", "sections", ""),
}


def module_of(file: Path) -> str:
    """The name under which a file is imported."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] == "adjointbench" else ("adjointbench", *parts))


#: Every file by its module; asv's benchmarks are no part of the package.
FILES = {
    module_of(file): file
    for folder in FOLDERS
    for file in sorted((ROOT / folder).rglob("*.py"))
    if "benchmarks" not in file.parts
}


def imports_of(module: str) -> set[str]:
    """The modules of the package that a module imports, within functions too."""
    file = FILES[module]
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            name = f"{'.' * node.level}{node.module or ''}"
            base = importlib.util.resolve_name(name, package)
            found |= {
                f"{base}.{a.name}" if f"{base}.{a.name}" in FILES else base for a in node.names
            }
    return (found & FILES.keys()) - {module}


IMPORTS = {module: imports_of(module) for module in FILES}


def folder_of(module: str) -> str:
    return FILES[module].relative_to(ROOT).parts[0]


def test_folders_import_one_way() -> None:
    upwards = [
        (module, imported)
        for module, all_imported in IMPORTS.items()
        for imported in all_imported
        if FOLDERS.index(folder_of(imported)) > FOLDERS.index(folder_of(module))
    ]
    assert not upwards


@pytest.mark.parametrize("folder", ROOMS)
def test_rooms_import_one_way(folder: str) -> None:
    rooms = ROOMS[folder]

    def room(module: str) -> int:
        inside = module.removeprefix(f"adjointbench.{folder}").removeprefix(".")
        fitting = [name for name in rooms if f"{inside}.".startswith(f"{name}.") or not name]
        return rooms.index(max(fitting, key=len))

    upwards = [
        (module, imported)
        for module, all_imported in IMPORTS.items()
        for imported in all_imported
        if folder_of(module) == folder_of(imported) == folder and room(imported) > room(module)
    ]
    assert not upwards


def test_no_files_import_each_other_in_a_circle() -> None:
    # It raises, and names the files, where there is one.
    order = list(graphlib.TopologicalSorter(IMPORTS).static_order())
    assert len(order) == len(FILES)
