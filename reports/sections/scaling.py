"""The section of a report about the scaling study: how time grows with a stiff problem."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.studies import scaling
from ...suite.measuring.studies.scaling import Crossover
from ..figures.scaling import scaling_figure
from ..figures.shown_figure import ShownFigure, save_figure
from ..tables import published
from ..tables.frames import rows_of
from ..tables.shown_table import Column, as_table, by_family, text, time_or_status
from .commands import scaling_command
from .content import Part


def scaling_part(table: pd.DataFrame, out: Path) -> Part:
    """How time grows with the size of a stiff problem.

    Parameters
    ----------
    table : DataFrame
        As from :func:`scaling_table`, of one machine and commit.
    out : Path
        The folder of the report: the figure goes into ``figures/`` there.
    """
    measured = scaling.times(rows_of(table))
    lines = scaling_lines(table, measured)
    sizes = sorted((c for c in lines.columns if c.isdigit()), key=int)
    columns = (
        Column("method", "method"),
        *(Column(size, f"{size} states and parameters", text) for size in sizes),
        Column("exponent", "exponent", formats.slope),
    )
    sentences = _crossing_sentences(measured)
    return Part(
        heading="How time grows with a stiff problem",
        sentences=tuple(sentences),
        figures=(_drawn(table, measured, sentences, out),) if measured else (),
        table=as_table(lines, columns),
        note=(
            "Exponent: slope of log time against log(states + parameters), by least squares over "
            f"the sizes with a time. {_published_exponents()} Published: {published.SOURCE}; "
            f"crosses: {published.LATER_SOURCE}."
        ),
    )


def _drawn(
    table: pd.DataFrame,
    measured: dict[str, dict[float, float]],
    sentences: list[str],
    out: Path,
) -> ShownFigure:
    caption = (
        "Brusselator to t = 1: time of one gradient against states and parameters. Relative "
        f"tolerance {formats.power(scaling.RTOL)}, absolute {formats.power(scaling.ATOL)}. Thin "
        "and grey: published, on other hardware; compare slopes and crossings, never times."
    )
    return save_figure(
        scaling_figure(measured, dict(zip(table["method"], table["family"], strict=True))),
        "scaling",
        out,
        caption,
        data=_with_published(table),
        command=scaling_command(table),
        label=" ".join([caption, *sentences]),
    )


def scaling_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the scaling study with ``n`` and ``unknowns``, smallest first."""
    points = rows["problem"].map(scaling.points_of)
    table = rows.assign(n=points, unknowns=points.map(scaling.unknowns))
    return table.sort_values(["method", "n"], kind="stable").reset_index(drop=True)


def scaling_lines(table: pd.DataFrame, measured: dict[str, dict[float, float]]) -> pd.DataFrame:
    """One line a method: seconds or status at each size, and the exponent.

    Parameters
    ----------
    table : DataFrame
        As from :func:`scaling_table`, of one machine and commit.
    measured : dict of str to dict
        Its seconds, as from :func:`~adjointbench.suite.measuring.studies.scaling.times`.

    Returns
    -------
    DataFrame
        Columns ``method``, ``family``, one a size (its digits), ``exponent``.
    """
    lines = []
    for method, mine in table.groupby("method", sort=False):
        cells = {str(row["unknowns"]): time_or_status(row) for _, row in mine.iterrows()}
        slope = scaling.exponent(measured.get(method, {}))
        about = {"method": method, "family": mine["family"].iloc[0], "exponent": slope}
        lines.append(about | cells)
    return by_family(pd.DataFrame(lines))


def _with_published(table: pd.DataFrame) -> pd.DataFrame:
    """What the scaling figure shows: seconds by size, measured and published."""
    columns = ["method", "unknowns", "status", "seconds"]
    measured = table[columns].assign(source="measured")
    theirs = [
        {"method": name, "unknowns": size, "status": "ok", "seconds": seconds, "source": source}
        for figures, source in (
            (published.SCALING, published.SOURCE),
            (published.LATER_SCALING, published.LATER_SOURCE),
        )
        for name, times in scaling.by_unknowns(figures).items()
        for size, seconds in times.items()
    ]
    return pd.concat([measured, pd.DataFrame(theirs)], ignore_index=True)


def _published_exponents() -> str:
    figures = scaling.by_unknowns(published.SCALING)
    slopes = [f"{name} {formats.slope(scaling.exponent(f))}" for name, f in figures.items()]
    return f"The same of the published times: {', '.join(slopes)}."


def _crossing_sentences(measured: dict[str, dict[float, float]]) -> list[str]:
    said = []
    who = f"Forward mode ({scaling.FORWARD})"
    own = scaling.own_crossover(measured, scaling.CONTINUOUS)
    if own is not None:
        said.append(crossing_sentence(who, own, "continuous adjoint of the same solver"))
    figures = scaling.by_unknowns(published.SCALING)
    theirs = scaling.crossover(figures.pop(published.FORWARD), figures)
    if own is not None and theirs is not None:
        said.append(crossing_sentence("Published: forward mode", theirs, "adjoint there"))
    overall = scaling.own_crossover(measured)
    if overall is not None and overall != own:
        said.append(crossing_sentence(who, overall, "adjoint of the same solver, of any kind"))
    systems = scaling.systems_crossover(measured)
    if systems is not None:
        who = "The discrete adjoint with full matrices"
        said.append(crossing_sentence(who, systems, "of the two kinds of systems"))
    if measured:
        largest = max(size for mine in measured.values() for size in mine)
        here = {name: mine[largest] for name, mine in measured.items() if largest in mine}
        fastest = min(here, key=lambda name: here[name])
        said.append(
            f"Of all methods the fastest at {largest:.0f} states and parameters is {fastest}, "
            f"with {formats.seconds(here[fastest])}."
        )
    return said


def crossing_sentence(who: str, found: Crossover, where: str) -> str:
    """In words where forward mode becomes slower than the best adjoint, of which `where` tells."""
    best = f"{found.best}, the best {where}"
    if found.at is not None:
        return (
            f"{who} becomes slower than {best}, at about {found.at:.0f} states and parameters "
            f"(interpolated between {found.low:.0f} and {found.high:.0f})."
        )
    if math.isinf(found.high):
        return (
            f"{who} is faster than {best}, at all measured sizes, up to {found.low:.0f} states "
            "and parameters."
        )
    return (
        f"{who} is slower than {best}, already at {found.high:.0f} states and parameters, the "
        "smallest measured."
    )
