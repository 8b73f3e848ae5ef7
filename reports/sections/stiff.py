"""The section of a report about stiff problems: scaling, published times, what breaks, costs."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.measure import ATOL_SCALE
from ...suite.measuring.studies import scaling
from ...suite.measuring.studies.scaling import Crossover
from ..figures.scaling import scaling_figure
from ..figures.shown_figure import save_figure
from ..tables import published
from ..tables.frames import rows_of
from ..tables.shown_table import Column, as_table
from ..tables.stiff import (
    breakages,
    costs,
    published_table,
    reasons,
    scaling_lines,
    scaling_table,
    stiff_rows,
)
from .commands import scaling_command
from .content import Part


def stiff_parts(rows: pd.DataFrame, points: pd.DataFrame, out: Path) -> list[Part]:
    """The parts of the section for which there is data.

    Parameters
    ----------
    rows : DataFrame
        The ladders of one machine and commit; may be empty.
    points : DataFrame
        Its scaling study; may be empty.
    out : Path
        The folder of the report: figures go into ``figures/`` there.
    """
    parts = [] if points.empty else [_scaling(points, out)]
    stiff = stiff_rows(rows) if not rows.empty else rows
    if not stiff.empty:
        parts += [_breaks(stiff), _costs(stiff)]
    times = None if rows.empty else _times(rows)
    if times is not None and parts:
        parts.insert(1 if not points.empty else 0, times)
    return parts


def _scaling(points: pd.DataFrame, out: Path) -> Part:
    measured = scaling.times(rows_of(points))
    families = dict(zip(points["method"], points["family"], strict=True))
    caption = (
        "Brusselator to t = 1: time of one gradient against states and parameters. Relative "
        f"tolerance {formats.power(scaling.RTOL)}, absolute {formats.power(scaling.ATOL)}. Thin "
        "and grey: published, on other hardware; compare slopes and crossings, never times."
    )
    lines = scaling_lines(points)
    sizes = sorted((c for c in lines.columns if c.isdigit()), key=int)
    columns = (
        Column("method", "method"),
        *(Column(size, f"{size} states and parameters", _text) for size in sizes),
        Column("exponent", "exponent", formats.slope),
    )
    sentences = _crossing_sentences(measured)
    figures = ()
    if measured:
        shown = save_figure(
            scaling_figure(measured, families),
            "scaling",
            out,
            caption,
            data=scaling_data(points),
            command=scaling_command(points),
            label=" ".join([caption, *sentences]),
        )
        figures = (shown,)
    return Part(
        heading="How time grows with a stiff problem",
        sentences=tuple(sentences),
        figures=figures,
        table=as_table(lines, columns),
        note=(
            "Exponent: slope of log time against log(states + parameters), by least squares over "
            f"the sizes with a time. {_published_exponents()} Published: {published.SOURCE}; "
            f"crosses: {published.LATER_SOURCE}."
        ),
    )


def scaling_data(points: pd.DataFrame) -> pd.DataFrame:
    """What the scaling figure shows: seconds by size, measured and published."""
    columns = ["method", "unknowns", "status", "seconds"]
    measured = scaling_table(points)[columns].assign(source="measured")
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


def _text(value: object) -> str:
    return value if isinstance(value, str) else "–"


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


def _times(rows: pd.DataFrame) -> Part | None:
    lines, found = published_table(rows)
    if not found:
        return None
    columns = [Column("method", "method"), Column("counterpart", "published as")]
    for problem, rtol in found:
        columns.append(Column(problem, f"{problem}, rtol {formats.power(rtol)}", _text))
        columns.append(Column(f"published {problem}", "published", _text))
    return Part(
        heading="Beside published times",
        table=as_table(lines, columns),
        note=(
            "Seconds a gradient, or the status without one; wrong: said ok and was off by more "
            "than 10 %. Here the absolute tolerance is the relative one times "
            f"{formats.power(ATOL_SCALE)}. Published: other hardware and language, absolute "
            "tolerance 1e-5, relative 1e-7, losses and saves as given there; compare ratios within "
            f"a column. {published.SOURCE}."
        ),
    )


def _breaks(stiff: pd.DataFrame) -> Part:
    return Part(
        heading="What breaks on stiff problems, and why",
        sentences=tuple(reasons(stiff)),
        groups=tuple((problem, tuple(sentences)) for problem, sentences in breakages(stiff)),
        note="Tolerances are relative. What was skipped, and why, is further down.",
    )


def _costs(stiff: pd.DataFrame) -> Part:
    lines = costs(stiff)
    known = ("kind", "stability", "cost", "memory", "method", "family", "right")
    problems = [name for name in lines.columns if name not in known]
    columns = (
        Column("method", "method"),
        Column("kind", "kind"),
        Column("stability", "said to be stable"),
        Column("right", "right here", formats.percent),
        Column("cost", "attributed cost"),
        Column("memory", "memory"),
        *(Column(problem, problem, _text) for problem in problems),
    )
    return Part(
        heading="Attributed costs, and what was counted",
        table=as_table(lines, columns),
        note=(
            "n states, p parameters, K checkpoints. Right here: share of all tolerances of all "
            "stiff problems that gave the certified gradient to 10 %. Under each problem: "
            "Jacobians / linear solves of one gradient at the tolerance nearest to 1e-6, or the "
            f"status; a dash: not told. Attributed as in {published.COSTS_SOURCE}."
        ),
    )
