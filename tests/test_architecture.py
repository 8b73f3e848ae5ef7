"""How the parts of the package depend on each other: one way, and never in a circle."""

import graphlib
import re

import pytest
from package_imports import FOLDERS, ROOT, arrows, files, folder_of, imports, room_of

#: The folders within these, each of which may import those before it; the last is what lies in
#: none of them.
ROOMS = {
    "suite": ("measuring", "measuring/studies", "cluster", "claims", "gpu", "own_problem", ""),
    "reports": ("tables", "figures", "sections", ""),
}


def test_folders_import_one_way() -> None:
    upwards = [
        (module, imported)
        for module, all_imported in imports().items()
        for imported in all_imported
        if FOLDERS.index(folder_of(imported)) > FOLDERS.index(folder_of(module))
    ]
    assert not upwards


@pytest.mark.parametrize("folder", ROOMS)
def test_rooms_import_one_way(folder: str) -> None:
    def floor(module: str) -> int:
        return ROOMS[folder].index(room_of(module).removeprefix(folder).removeprefix("/"))

    upwards = [
        (module, imported)
        for module, all_imported in imports().items()
        for imported in all_imported
        if folder_of(module) == folder_of(imported) == folder and floor(imported) > floor(module)
    ]
    assert not upwards


def test_no_files_import_each_other_in_a_circle() -> None:
    # It raises, and names the files, where there is one.
    order = list(graphlib.TopologicalSorter(imports()).static_order())
    assert len(order) == len(files())


def test_the_page_lists_the_arrows_between_the_rooms() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = re.search(r"<!-- begin: arrows .*?```text\n(.*?)```", page, re.S)
    assert listed
    drawn: dict[str, set[str]] = {}
    room = ""
    for line in listed[1].splitlines():
        if "→" in line:
            room, line = map(str.strip, line.split("→"))
        drawn.setdefault(room, set()).update(re.findall(r"[\w/]+", line))
    assert drawn == arrows("rooms")


def test_the_picture_draws_the_rooms_and_the_arrows_between_the_folders() -> None:
    picture = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    rooms = set(re.findall(r'id="room ([^"]+)"', picture))
    assert rooms == arrows("rooms").keys()
    drawn = set(re.findall(r'id="arrow (\S+) → (\S+)"', picture))
    assert drawn == {(a, b) for a, imported in arrows("folders").items() for b in imported}
