"""The map of all methods on all problems: where each is right."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .canvas import GRID, INK, STYLE, ink_on, new_axes
from .style import COLOURS, looks

#: Seen on white, on pale and on dark blue.
_HATCH = "#8a97a6"


def map_figure(cells: pd.DataFrame) -> Figure:
    """A cell a method and problem, with its share of right tolerances in percent.

    Parameters
    ----------
    cells : DataFrame
        One line a method on a problem: how often it was ``tried``, and of these ``right``,
        ``wrong`` (of which ``warned`` say so with an error bar), ``broken`` and ``unfinished``.

    Returns
    -------
    Figure
        The darker the more often right. Told without colour as well: an exclamation mark and an
        orange edge where it said ``ok`` and was wrong, a plus-minus sign and a thin
        edge where its error bar says so, a cross and hatches where it broke down,
        three dots where it was not done in its time, a dash where it was not tried.
    """
    methods = list(looks(zip(cells["method"], cells["family"], strict=True)))
    problems = list(dict.fromkeys(cells["problem"]))
    with mpl.rc_context(
        STYLE | {"axes.grid": False, "hatch.color": _HATCH, "hatch.linewidth": 0.7}
    ):
        figure, axes = new_axes(0.8 + 0.52 * len(problems), 1.2 + 0.27 * len(methods))
        for cell in cells.to_dict("records"):
            _draw(axes, problems.index(cell["problem"]), methods.index(cell["method"]), cell)
        axes.set_xlim(-0.5, len(problems) - 0.5)
        axes.set_ylim(len(methods) - 0.5, -0.5)
        axes.set_xticks(range(len(problems)), problems, rotation=55, fontsize=9)
        for label in axes.get_xticklabels():
            label.set(ha="left", rotation_mode="anchor")
        axes.set_yticks(range(len(methods)), methods, fontsize=9)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
    return figure


def _draw(axes: Axes, x: int, y: int, cell: dict) -> None:
    if not cell["tried"]:
        axes.text(x, y, "–", ha="center", va="center", color=INK, fontsize=8)
        return
    done = cell["tried"] - cell["unfinished"]
    share = cell["right"] / done if done else 0.0
    face = mpl.colormaps["Blues"](0.05 + 0.8 * share) if done else "none"
    hatch = "////" if cell["broken"] else ""
    axes.add_patch(
        Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fc=face, ec=GRID, lw=0.6, hatch=hatch)
    )
    lies, honest = cell["wrong"] > cell["warned"], cell["warned"] > 0
    if lies or honest:
        width = 0.12 if lies else 0.04
        edge = Rectangle((x - 0.47, y - 0.45), width, 0.9, fc=COLOURS["continuous"], lw=0)
        axes.add_patch(edge)
    mark = "!" * lies + "±" * honest + "×" * bool(cell["broken"]) + "…" * bool(cell["unfinished"])
    told = f"{100 * share:.0f} " if done else ""
    axes.text(
        x,
        y,
        f"{told}{mark}".strip(),
        ha="center",
        va="center",
        color=ink_on(face) if done else INK,
        fontsize=8,
    )
