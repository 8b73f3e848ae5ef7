"""The figures of ladders of tolerances: work and precision, stability, and costs as dots."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ...suite.measuring.errors import LARGEST_ERROR, WRONG, log10_error
from ...suite.measuring.formats import amount, power, size
from ..tables.endings import is_broken, is_wrong
from .canvas import GRID, INK, STYLE, amounts_on, ink_on, legend_outside, log_ticks, new_axes, say
from .style import COLOURS, Look, family_handles, looks

_SHORT_STATUS = {
    "max_steps": "steps",
    "step_too_small": "h→0",
    "nonfinite": "NaN",
    "linear_solve": "linear",
    "timeout": "…",
    "skipped": "–",
}


def work_precision(rows: pd.DataFrame) -> Figure:
    """Time of one gradient against its error: one line a method, one point a tolerance.

    Parameters
    ----------
    rows : DataFrame
        The rows of one problem on one machine.

    Returns
    -------
    Figure
        Further down is faster, further left is more accurate.
    """
    methods = _looks_of(rows)
    with mpl.rc_context(STYLE):
        figure, axes = new_axes(7.6, 4.4)
        shown = [name for name, look in methods.items() if _draw_line(axes, rows, name, look)]
        axes.set_xlabel("relative error of the log-parameter gradient")
        axes.set_ylabel("seconds a gradient, warm")
        if shown:
            log_ticks(axes)
            _shade_wrong(axes)
        else:
            say(axes, "no method gave a gradient here")
        families = dict(zip(rows["method"], rows["family"], strict=True))
        legend_outside(axes, family_handles({name: methods[name] for name in shown}, families))
    return figure


def _draw_line(axes: Axes, rows: pd.DataFrame, name: str, look: Look) -> bool:
    points = rows[rows["method"].eq(name) & rows["status"].eq("ok")]
    points = points[points["error"].notna() & points["seconds"].notna()]
    points = points.sort_values("rtol", ascending=False)
    if points.empty:
        return False
    errors = [10 ** log10_error(error) for error in points["error"]]
    axes.plot(
        errors,
        points["seconds"],
        color=look.colour,
        marker=look.marker,
        linestyle=look.line,
        markerfacecolor=look.colour,
        markeredgewidth=0,
        alpha=0.9,
    )
    return True


def _shade_wrong(axes: Axes) -> None:
    """Grey where the error is over 10 %, if any point comes near."""
    left, right = axes.get_xlim()
    if right <= WRONG:
        return
    axes.axvspan(max(left, WRONG), right, color=GRID, alpha=0.5, lw=0)
    axes.set_xlim(left, right)
    axes.text(
        right,
        1.01,
        "wrong by over 10 %",
        transform=axes.get_xaxis_transform(),
        ha="right",
        fontsize=9,
    )


def stability(rows: pd.DataFrame) -> Figure:
    """Gradient error of each method at each tolerance, with the status in words.

    Parameters
    ----------
    rows : DataFrame
        The rows of one problem on one machine.

    Returns
    -------
    Figure
        A cell holds the exponent of the error, or the status where there is no gradient; one
        that says ``ok`` with an error over 10 % is orange, with ± where its error bar tells.
    """
    names = list(_looks_of(rows))
    rtols = sorted(rows["rtol"].unique(), reverse=True)
    wrong, broken = is_wrong(rows), is_broken(rows)
    with mpl.rc_context(STYLE | {"axes.grid": False, "hatch.color": GRID}):
        figure, axes = new_axes(0.8 + 0.8 * len(rtols), 0.9 + 0.36 * len(names))
        cells = rows[["rtol", "method", "status", "error", "error_bar_status"]].to_dict("records")
        for row, lies, broke in zip(cells, wrong, broken, strict=True):
            place = (rtols.index(row["rtol"]), names.index(row["method"]))
            _cell(axes, place, row, wrong=lies, broken=broke)
        axes.set_xlim(-0.5, len(rtols) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xticks(range(len(rtols)), [power(rtol) for rtol in rtols])
        axes.set_yticks(range(len(names)), names)
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set_xlabel("relative tolerance")
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
    return figure


def _cell(
    axes: Axes, place: tuple[int, int], row: Mapping[str, Any], *, wrong: bool, broken: bool
) -> None:
    """One cell: the deeper the blue the more accurate; orange is wrong, hatched broke down."""
    x, y = place
    face, ink, text = "none", INK, _SHORT_STATUS.get(row["status"], row["status"])
    hatch = "////" if broken else ""
    if row["status"] == "ok":
        exponent = log10_error(row["error"])
        text = _exponent(row["error"])
        share = np.clip((exponent + 1) / -10, 0, 1)
        text += " ±" * (wrong and row["error_bar_status"] == "inaccurate")
        face = COLOURS["continuous"] if wrong else mpl.colormaps["Blues"](0.12 + 0.8 * share)
        ink = ink_on(face)
    axes.add_patch(
        Rectangle((x - 0.47, y - 0.44), 0.94, 0.88, fc=face, ec=GRID, lw=0.8, hatch=hatch)
    )
    axes.text(x, y, text, ha="center", va="center", color=ink, fontsize=9)


def _exponent(error: float) -> str:
    """What a cell says about an error: its exponent, or that it is off the scale."""
    if pd.isna(error):
        return "ok"
    if error > LARGEST_ERROR:
        return f"> {np.log10(LARGEST_ERROR):.0f}"
    return f"{log10_error(error):.1f}".replace("-", "\N{MINUS SIGN}")


def dots(table: pd.DataFrame, column: str, label: str) -> Figure:
    """One figure a method for every problem, on a logarithmic axis: a marker a problem.

    Parameters
    ----------
    table : DataFrame
        As from :func:`~adjointbench.reports.tables.summary.summary`.
    column : str
        The figure to show, ``"ratio"`` or ``"saved_bytes"``.
    label : str
        What the axis says.
    """
    known = table[table[column].gt(0)]
    names = [m for m in _looks_of(table) if m in set(known["method"])]
    problems = list(dict.fromkeys(known["problem"]))
    with mpl.rc_context(STYLE):
        figure, axes = new_axes(7.6, 1.1 + 0.3 * max(len(names), 3))
        family = dict(zip(table["method"], table["family"], strict=True))
        for index, problem in enumerate(problems):
            mine = known[known["problem"].eq(problem)]
            # A little apart, so that equal values do not hide each other.
            shift = 0.5 * ((index + 0.5) / len(problems) - 0.5)
            axes.scatter(
                mine[column],
                [names.index(m) + shift for m in mine["method"]],
                c=[COLOURS[family[m]] for m in mine["method"]],
                marker=_PROBLEM_MARKERS[index % len(_PROBLEM_MARKERS)],
                s=34,
                alpha=0.85,
                linewidths=0,
            )
        axes.set_xscale("log")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(label)
        amounts_on(axes.xaxis, size if column == "saved_bytes" else amount)
        axes.tick_params(axis="y", length=0)
        _problem_legend(axes, problems)
    return figure


_PROBLEM_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")


def _looks_of(rows: pd.DataFrame) -> dict[str, Look]:
    return looks(zip(rows["method"], rows["family"], strict=True))


def _problem_legend(axes: Axes, problems: Sequence[str]) -> None:
    handles = [
        Line2D([], [], color=INK, ls="none", label=name, marker=_PROBLEM_MARKERS[i % 12])
        for i, name in enumerate(problems)
    ]
    legend_outside(axes, handles)
