"""The map of the package as a figure: folders as floors, rooms as boxes, arrows as wires."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from package_imports import FOLDERS, arrows

#: What each floor is for.
PURPOSES = {
    "problems": "what is solved",
    "adjoints": "how gradients are taken",
    "training": "gradients at work",
    "suite": "what is measured and judged",
    "reports": "what is read",
    "adjointbench": "what is called",
}

#: The rooms of each floor from left to right, an empty name for what lies in none, and what a
#: room holds. Dashed: no part of the package, but a user of it.
ROOMS = {
    "problems": {
        "": "Problem, registry",
        "neural": "networks, images",
        "stochastic": "with noise",
        "zoo": "a file a problem",
    },
    "adjoints": {
        "": "gradient()",
        "methods": "the table",
        "steps": "one step",
        "regularizers": "added to a loss",
        "error_bars": "how far off",
        "events": "stops that move",
        "scipy": "sensitivities",
        "jax": "open solver",
        "jax/events": "stops that move",
        "jax/native": "jaxprs → C",
        "jax/sde": "with noise",
        "jax/systems": "implicit steps",
        "torch": "open solver",
        "torch/events": "stops that move",
        "torch/native": "graphs → C",
        "torch/systems": "implicit steps",
        "native": "as one C loop",
        "linear_systems": "sparse, in colors",
        "mass": "M y' = f",
        "peers": "other libraries",
    },
    "training": {"": "tasks, trainers"},
    "suite": {
        "": "selection",
        "measuring": "a job → rows",
        "measuring/studies": "size, memory",
        "cluster": "many machines",
        "claims": "what people say",
        "gpu": "on a device",
        "own_problem": "compare",
        "benchmarks": "asv's classes",
    },
    "reports": {
        "": "build, page",
        "tables": "rows → tables",
        "figures": "tables → figures",
        "sections": "of the page",
    },
    "adjointbench": {"": "public names", "command_line": "a file a command"},
}
DASHED = ("suite/benchmarks",)

WIDTH, FLOOR, GAP, TITLE = 100.0, 10.0, 3.5, 21.0
#: The widest box of a room, its distance from the next included.
WIDEST = 13.0
#: Rooms side by side at most; more stand on several shelves, each at least so high.
ABREAST, SHELF = 8, 5.4
#: How high the map is where every floor has one shelf.
PLAIN_TOP = 77.5
#: Letters of a name that fit into a box as they are.
LONGEST = 12
#: How far apart the wires run, right of the floors.
WIRE = 4.0
INK, PAPER, WALL = "#1f2933", "#ffffff", "#9aa5b1"
COLOURS = {
    "problems": "#2a6f97",
    "adjoints": "#c1121f",
    "training": "#6a994e",
    "suite": "#b5651d",
    "reports": "#6d4c91",
    "adjointbench": "#52606d",
}


def draw_map(file: Path) -> None:
    """Write the map as SVG; every room and every arrow has its name as ``id``."""
    with plt.rc_context({"svg.hashsalt": "adjointbench", "svg.fonttype": "none"}):
        top = _bottom("adjointbench") + _height("adjointbench")
        figure, axes = plt.subplots(figsize=(11, 7 * top / PLAIN_TOP), facecolor=PAPER)
        for folder in FOLDERS:
            _draw_floor(axes, folder)
        _draw_wires(axes)
        axes.set_xlim(-1, WIDTH + WIRE * len(FOLDERS) + 1)
        axes.set_ylim(-1, top + 1)
        axes.axis("off")
        figure.subplots_adjust(0, 0, 1, 1)
        figure.savefig(file, metadata={"Date": None, "Title": "adjointbench: folders and rooms"})
        plt.close(figure)


def _shelves(folder: str) -> int:
    return -(-len(ROOMS[folder]) // ABREAST)


def _height(folder: str) -> float:
    return max(FLOOR, 2.4 + SHELF * _shelves(folder))


def _bottom(folder: str) -> float:
    return sum(_height(below) + GAP for below in FOLDERS[: FOLDERS.index(folder)])


def _label(folder: str, room: str) -> str:
    """The last part of a room's name, or all of it where others end alike."""
    last = room.rpartition("/")[2]
    alike = [other for other in ROOMS[folder] if other.rpartition("/")[2] == last]
    return (last if len(alike) == 1 or last == room else room) or "(itself)"


def _draw_floor(axes: Axes, folder: str) -> None:
    bottom, colour, floor = _bottom(folder), COLOURS[folder], _height(folder)
    _draw_box(axes, 0, bottom, WIDTH, floor, face=f"{colour}14", edge=colour)
    middle = bottom + floor / 2
    axes.text(1.5, middle + 1.2, folder, color=colour, weight="bold", size=12, va="center")
    axes.text(1.5, middle - 2, PURPOSES[folder], color=INK, size=7.5, va="center")
    rooms, shelves = ROOMS[folder], _shelves(folder)
    abreast = -(-len(rooms) // shelves)
    width, height = min(WIDEST, (WIDTH - TITLE) / abreast), (floor - 2.4) / shelves
    for number, (room, holds) in enumerate(rooms.items()):
        shelf, place = divmod(number, abreast)
        name = f"{folder}/{room}" if room else folder
        left, dashed = TITLE + place * width, name in DASHED
        low = bottom + 1.5 + (shelves - 1 - shelf) * height
        box = _draw_box(
            axes,
            *(left, low, width - 1, height - 0.6),
            face=PAPER,
            edge=WALL,
            style="--" if dashed else "-",
        )
        box.set_gid(f"user {name}" if dashed else f"room {name}")
        middle = left + (width - 1) / 2
        short = _label(folder, room)
        size = 8 if len(short) <= LONGEST else 8 * LONGEST / len(short)
        axes.text(middle, low + 0.6 * height, short, color=INK, size=size, ha="center", va="center")
        axes.text(middle, low + 0.24 * height, holds, color=INK, size=6, ha="center", va="center")


def _draw_box(
    axes: Axes, x: float, y: float, width: float, height: float, *, face: str, edge: str, style="-"
) -> FancyBboxPatch:
    box = FancyBboxPatch(
        (x, y),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.8",
        facecolor=face,
        edgecolor=edge,
        linewidth=0.9,
        linestyle=style,
    )
    axes.add_patch(box)
    return box


def _draw_wires(axes: Axes) -> None:
    """One wire a folder that is imported: from each that imports it down into it."""
    for importing, all_imported in arrows("folders").items():
        for imported in sorted(all_imported):
            x = WIDTH + WIRE * (FOLDERS.index(imported) + 1)
            start = _bottom(importing) + _height(importing) - 2 - 1.2 * FOLDERS.index(imported)
            end = _bottom(imported) + _height(imported) - 1.2
            colour = COLOURS[imported]
            (line,) = axes.plot(
                [WIDTH, x, x, WIDTH + 1.2], [start, start, end, end], color=colour, linewidth=1.3
            )
            line.set_gid(f"arrow {importing} → {imported}")
            axes.plot([WIDTH + 0.6], [end], marker="<", color=colour, markersize=6)
            axes.plot([WIDTH], [start], marker="o", color=colour, markersize=3)
