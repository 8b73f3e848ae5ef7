"""How methods look in every figure: a colour a family, a marker and a line a method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from matplotlib.lines import Line2D

from ...adjoints.methods.method import FAMILIES

#: Okabe and Ito's palette, which the colour-blind can tell apart.
COLOURS = {
    "discrete": "#0072B2",
    "continuous": "#D55E00",
    "blackbox": "#009E73",
    "peers": "#CC79A7",
}

#: The same palette and two more, for lines that are no methods.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#6A3D9A")

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of one method."""

    colour: str
    marker: str
    line: str | tuple


def looks(methods: Iterable[tuple[str, str]]) -> dict[str, Look]:
    """The look of each method, the same wherever the same methods are shown.

    Parameters
    ----------
    methods : iterable of (name, family)
        In any order.

    Returns
    -------
    dict of str to Look
        By method, families in their order, names in alphabetical order within.
    """
    ordered = sorted(set(methods), key=lambda pair: (FAMILIES.index(pair[1]), pair[0]))
    found: dict[str, Look] = {}
    for family in FAMILIES:
        for index, name in enumerate(n for n, f in ordered if f == family):
            found[name] = Look(
                COLOURS[family], _MARKERS[index % len(_MARKERS)], _LINES[index % len(_LINES)]
            )
    return found


def family_handles(shown: Mapping[str, Look], families: Mapping[str, str]) -> list[Line2D]:
    """What a legend shows: methods under their families."""
    handles = []
    for family in FAMILIES:
        names = [name for name in shown if families[name] == family]
        handles += [heading(family)] if names else []
        for name in names:
            look = shown[name]
            handles.append(
                Line2D([], [], color=look.colour, marker=look.marker, ls=look.line, label=name)
            )
    return handles


def heading(text: str) -> Line2D:
    """A line of a legend that stands over others."""
    return Line2D([], [], linestyle="none", label=text.upper())
