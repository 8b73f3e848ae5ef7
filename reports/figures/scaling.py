"""The figure of the scaling study, with published lines beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...suite.measuring.studies.scaling import Times, by_unknowns
from ..tables import published
from .canvas import INK, STYLE, legend_outside, log_ticks, new_axes
from .style import family_handles, heading, looks

#: Published lines are thin and pale, and end in their names.
_PALE = 0.4
_PUBLISHED_LINES = {
    published.FORWARD: "-",
    published.TAPE: "--",
    published.INTERPOLATING: "-.",
    published.QUADRATURE: ":",
}

#: Of the later measurement one size is drawn, of those that were measured before and two more.
_LATER_POINTS = 15
_LATER = {
    name: {_LATER_POINTS: published.LATER_SCALING[name][_LATER_POINTS]}
    for name in (
        *(published.FORWARD, published.INTERPOLATING, published.QUADRATURE),
        *(published.GAUSS, published.GMRES),
    )
}


def scaling_figure(measured: Mapping[str, Times], families: Mapping[str, str]) -> Figure:
    """Seconds a gradient against states and parameters together, both logarithmic.

    Parameters
    ----------
    measured : mapping of str to mapping
        Seconds by size of each method, as from
        :func:`~adjointbench.suite.measuring.studies.scaling.times`.
    families : mapping of str to str
        The family of each method.

    Returns
    -------
    Figure
        A line a method; the published figures, of other hardware, are thin and grey.
    """
    with mpl.rc_context(STYLE):
        figure, axes = new_axes(7.6, 5.2)
        lines = _draw_published(axes)
        found = looks((name, families[name]) for name in measured)
        for name, look in found.items():
            axes.plot(
                list(measured[name]),
                list(measured[name].values()),
                color=look.colour,
                marker=look.marker,
                linestyle=look.line,
                markeredgewidth=0,
                alpha=0.9,
                label=name,
                zorder=3,
            )
        log_ticks(axes)
        _leave_room(axes)
        axes.set_xlabel("states and parameters")
        axes.set_ylabel("seconds a gradient, warm")
        handles = [*family_handles(found, families), heading("published, other hardware"), *lines]
        legend_outside(axes, handles)
    return figure


def _draw_published(axes: Axes) -> list[Line2D]:
    """The published lines, and the crosses of the later measurement; their legend."""
    handles = []
    for name, figures in by_unknowns(published.SCALING).items():
        (line,) = axes.plot(
            list(figures),
            list(figures.values()),
            color=INK,
            alpha=_PALE,
            linewidth=1.0,
            linestyle=_PUBLISHED_LINES[name],
            label=f"{name}, 2021",
            zorder=2,
        )
        handles.append(line)
    return [*handles, _draw_later(axes)]


def _draw_later(axes: Axes) -> Line2D:
    """The single points of the later measurement, each with its name; their legend."""
    style = {"color": INK, "alpha": _PALE, "marker": "x", "markersize": 4, "ls": "none"}
    for name, figures in by_unknowns(_LATER).items():
        axes.plot(list(figures), list(figures.values()), **style)
        for place in figures.items():
            axes.annotate(
                name,
                place,
                xytext=(5, _LABEL_SHIFTS.get(name, 0)),
                textcoords="offset points",
                va="center",
                fontsize=8,
                alpha=0.7,
            )
    return Line2D([], [], label=f"2026, {_LATER_POINTS} points a side", **style)


def _leave_room(axes: Axes) -> None:
    """Room for the names to the right of the last points."""
    left, right = axes.get_xlim()
    axes.set_xlim(left, right * 3)


#: In points, where two labels would lie on each other.
_LABEL_SHIFTS = {published.GAUSS: 5, published.QUADRATURE: -5}
