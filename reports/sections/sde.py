"""The section of a report about stochastic equations: orders, time and memory of each way."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...suite.measuring import formats
from ...suite.measuring.equal_times import rank
from ...suite.measuring.ladder import seconds_at_error
from ...suite.measuring.names import bare_name, split_name
from ...suite.measuring.studies import sde
from ..figures.canvas import STYLE, amounts_on
from ..figures.style import looks
from ..tables.frames import rows_of
from ..tables.shown_table import Column, as_table
from .commands import sde_command
from .content import Part
from .study import Drawing, study_part

#: The gradient error at which times are compared, and the step at which ways stand side by side.
ERROR, STEP = 1e-2, 2.0**-6

_COLUMNS = (
    Column("problem", "problem"),
    Column("method", "way"),
    Column("solution_order", "order, solution", formats.slope),
    Column("gradient_order", "order, gradient", formats.slope),
    Column("error", f"error at {STEP:g}", formats.error),
    Column("seconds", f"time at {STEP:g}", formats.seconds),
    Column("saved_bytes", f"kept at {STEP:g}", formats.size),
    Column("at_error", "time to 1 %, constant steps", formats.seconds),
    Column("adaptive_at_error", "time to 1 %, by tolerance", formats.seconds),
    Column("status", "ended"),
)

_NOTE = (
    f"{sde.PATHS} paths as one state. Errors are those of pathwise gradients on one given Brownian "
    "motion, which every way reads, against the closed form or, where there is none, the open "
    "solver in steps of 1/4096; orders are slopes of a regression over all steps. Times are of "
    "each way on Brownian motion of its own, warm, on one core."
)


def sde_lines(points: pd.DataFrame) -> pd.DataFrame:
    """One line a problem and way.

    Parameters
    ----------
    points : DataFrame
        The rows of the study on one machine and commit.

    Returns
    -------
    DataFrame
        ``problem`` and ``method`` (the way, without its step), ``family``, ``status``, orders,
        ``error``, ``seconds`` and ``saved_bytes`` at the step :data:`STEP`, ``at_error`` and
        ``adaptive_at_error``: seconds to the gradient error :data:`ERROR`.
    """
    named = with_steps(points)
    lines = [
        _line(problem, method, mine)
        for (problem, method), mine in named.groupby(["problem", "way"], sort=False)
    ]
    return pd.DataFrame(lines).sort_values(["problem", "method"], ignore_index=True)


def with_steps(points: pd.DataFrame) -> pd.DataFrame:
    """The rows with their ``way`` and their ``step``, NaN by tolerance; largest steps first."""
    settings = points["method"].map(lambda name: split_name(name)[1])
    found = points.assign(
        problem=points["problem"].map(bare_name),
        way=points["method"].map(sde.way_of),
        step=[float(each.get("step", np.nan)) for each in settings],
    )
    return found.sort_values(["step", "rtol"], ascending=False, kind="stable")


def _line(problem: str, method: str, mine: pd.DataFrame) -> dict[str, object]:
    right = mine[mine["status"].eq("ok")]
    constant, adaptive = right[right["step"].notna()], right[right["step"].isna()]
    at = constant[constant["step"].eq(STEP)]
    endings = mine.loc[mine["status"].ne("ok"), "status"]
    columns = ["error", "seconds", "saved_bytes"]
    return {
        "problem": problem,
        "method": method,
        "family": mine["family"].iloc[0],
        "status": ", ".join(dict.fromkeys(endings)) or "ok",
        "solution_order": _order(constant, "solution_error"),
        "gradient_order": _order(constant, "error"),
        **{name: at[name].iloc[0] if len(at) else np.nan for name in columns},
        "at_error": _seconds(constant),
        "adaptive_at_error": _seconds(adaptive),
    }


def _order(rows: pd.DataFrame, name: str) -> float:
    """The slope of the error over the step, of errors that the truth can tell."""
    known = rows[rows[name] > 10 * rows["agreement"].fillna(0.0)]
    if len(known) < 2:
        return float("nan")
    return float(np.polyfit(np.log(known["step"]), np.log(known[name]), 1)[0])


def _seconds(rows: pd.DataFrame) -> float:
    found = seconds_at_error(rows_of(rows.drop(columns=["way", "step"])), ERROR)
    return float("nan") if found is None else found


def sde_parts(points: pd.DataFrame, out: Path) -> list[Part]:
    """The part about stochastic equations; none where there are no rows of the study.

    Parameters
    ----------
    points : DataFrame
        As for :func:`sde_lines`; may be empty.
    out : Path
        The folder of the report.
    """
    if points.empty:
        return []
    lines = sde_lines(points)
    return study_part(
        "sde",
        "Stochastic equations",
        sentences=findings(lines),
        drawing=_drawing(with_steps(points)),
        table=as_table(lines, _COLUMNS),
        note=_NOTE,
        out=out,
    )


def _drawing(named: pd.DataFrame) -> Drawing | None:
    """The figure, where there is an error to draw."""
    if not named["error"].notna().any():
        return None
    caption = (
        "Errors of pathwise gradients against the step (constant steps), and against the time of a "
        "gradient (steps and tolerances)."
    )
    return Drawing(partial(sde_figure, named), caption, named, sde_command())


def findings(lines: pd.DataFrame) -> list[str]:
    """Who is fastest to an error of 1 % on each problem, and what a backsolve takes.

    Parameters
    ----------
    lines : DataFrame
        As from :func:`sde_lines`.
    """
    said = []
    for problem, mine in lines.groupby("problem", sort=False):
        # Missing times are none, not NaN, in a ranking.
        best = mine[["at_error", "adaptive_at_error"]].min(axis=1)
        times = {m: None if np.isnan(s) else s for m, s in zip(mine["method"], best, strict=True)}
        ranking = rank(times)
        if not len(ranking):
            continue
        told = f"{problem}: {formats.listed(ranking.tied)} "
        told += f"{'take' if len(ranking.tied) > 1 else 'takes'} the least to a gradient error of "
        told += f"1 % ({formats.seconds(ranking.best)})"
        back = {m: s for m, s in ranking.seconds.items() if "backsolve" in m or "adjoint" in m}
        told += "".join(
            f"; {m} takes {s / ranking.best:.2g} times as long" for m, s in back.items()
        )
        said.append(f"{told}.")
    return said


def sde_figure(points: pd.DataFrame) -> Figure:
    """Gradient error against step, and against seconds: a column a problem, a line a way.

    Parameters
    ----------
    points : DataFrame
        As from :func:`with_steps`.
    """
    problems = list(dict.fromkeys(points["problem"]))
    found = looks(zip(points["way"], points["family"], strict=True))
    with mpl.rc_context(STYLE):
        size = (1.2 + 2.6 * len(problems), 6.4)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(2, len(problems), squeeze=False, sharey="col")
        for column, problem in enumerate(problems):
            above, below = grid[:, column]
            for way, look in found.items():
                mine = points[
                    points["problem"].eq(problem)
                    & points["way"].eq(way)
                    & points["status"].eq("ok")
                ]
                style = {"color": look.colour, "marker": look.marker, "ms": 3, "mew": 0}
                constant, adaptive = mine[mine["step"].notna()], mine[mine["step"].isna()]
                above.plot(constant["step"], constant["error"], label=way, ls=look.line, **style)
                below.plot(constant["seconds"], constant["error"], ls=look.line, **style)
                below.plot(adaptive["seconds"], adaptive["error"], ls="none", **style)
            above.set(title=problem, xlabel="step", xscale="log", yscale="log")
            below.set(xlabel="seconds, warm", xscale="log", yscale="log")
            amounts_on(above.xaxis, formats.amount)
            amounts_on(below.xaxis, formats.seconds)
        for axes in grid[:, 0]:
            axes.set_ylabel("gradient error")
        handles = grid[0, 0].get_legend_handles_labels()[0]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure
