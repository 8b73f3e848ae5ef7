"""The section of a report about error bars: what gradients say of their own errors."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.formats import count
from ..figures.error_bars import effectivity_figure
from ..figures.shown_figure import ShownFigure, save_figure
from ..tables.error_bars import by_method, estimates, in_asymptotic_range, misses, unasked
from ..tables.ladders import Ladders
from ..tables.shown_table import WHERE, Column, as_table
from .commands import ladder_command
from .content import Part

_COLUMNS = (
    Column("method", "method"),
    Column("number", "estimates", formats.amount),
    Column("close", "within 0.5 – 2", formats.percent),
    Column("near", "within 0.3 – 3", formats.percent),
    Column("gradients", "ended ok", formats.amount),
    Column("before", "ok, and wrong", formats.amount),
    Column("after", "with an error bar", formats.amount),
    Column("alarms", "false alarms", formats.amount),
    Column("cost", "cost", formats.amount),
)

_MISS_COLUMNS = (
    Column("miss", "no.", formats.amount),
    *WHERE,
    Column("rtol", "tolerance", formats.power),
    Column("error", "true error", formats.error),
    Column("estimated_error", "estimate", formats.error),
    Column("effectivity", "estimate / true", formats.error),
    Column("said", "status with it"),
    Column("trusted", "called reliable"),
)

_NOTE = (
    "Estimates: of true errors below 0.3 and above ten times what the reference is certified to. "
    "Ended ok: all gradients that were asked for an error bar. Ok, and wrong: off by more than "
    "10 %; with an error bar: those of them that still say ok. False alarms: called inaccurate "
    "and off by less than 3 %. Cost: time with the error bar over time without; a dash where the "
    "two are not one program."
)


def error_bars_parts(ladders: Ladders, out: Path) -> list[Part]:
    """The parts about error bars; none where no method was asked for one.

    Parameters
    ----------
    ladders : Ladders
        Those of one machine and commit.
    out : Path
        The folder of the report.
    """
    methods = by_method(ladders.rows)
    if methods.empty:
        return []
    lines = estimates(ladders.rows)
    sentences = [*said(methods, lines), *_left_out(ladders.rows)]
    table = as_table(methods, _COLUMNS)
    figures = () if lines.empty else (_drawn(ladders.rows, lines, sentences, out),)
    missed = as_table(misses(lines), _MISS_COLUMNS)
    return [
        Part(
            "Error bars: what gradients say of their own errors",
            sentences=tuple(sentences),
            figures=figures,
            table=table,
            note=_NOTE,
            anchor="error-bars",
        ),
        *([Part("Every miss by more than a factor of 3", table=missed)] if missed else []),
    ]


def said(methods: pd.DataFrame, lines: pd.DataFrame) -> list[str]:
    """What error bars were worth, in sentences.

    Parameters
    ----------
    methods, lines : DataFrame
        As from :func:`~adjointbench.reports.tables.error_bars.by_method` and
        :func:`~adjointbench.reports.tables.error_bars.estimates`.
    """
    total = methods[["gradients", "before", "after", "alarms", "number"]].sum()
    told = [
        f"Of {count(total['gradients'], 'gradient')} that ended ok {total['before']} "
        f"{'was' if total['before'] == 1 else 'were'} off by more than 10 %. With an error bar "
        f"{total['before'] - total['after']} of them say so themselves, {total['after']} still "
        f"say ok, and {count(total['alarms'], 'gradient')} that "
        f"{'was' if total['alarms'] == 1 else 'were'} right to 3 % raised a false alarm."
    ]
    if total["number"]:
        close, near = (
            (methods[name] * methods["number"]).sum() / total["number"]
            for name in ("close", "near")
        )
        small = in_asymptotic_range(lines)["effectivity"]
        told.append(
            f"Estimated over true error, {count(total['number'], 'estimate')} of true errors below "
            f"0.3: within 0.5 and 2 in {formats.percent(close)}, within 0.3 and 3 in "
            f"{formats.percent(near)}; {formats.span(small, formats.error)} in all."
        )
    return told


def _left_out(rows: pd.DataFrame) -> list[str]:
    """What was not asked for an error bar."""
    unknown = unasked(rows)
    told = "Peers and black boxes are not asked for error bars: a second method would give them."
    if unknown:
        told += (
            f" So it is not known of {count(unknown, 'gradient')} more that "
            f"{'says' if unknown == 1 else 'say'} ok and {'is' if unknown == 1 else 'are'} wrong."
        )
    return [told]


def _drawn(rows: pd.DataFrame, lines: pd.DataFrame, told: list[str], out: Path) -> ShownFigure:
    caption = (
        "Estimated over true error, a point a gradient. In the band the estimate is within a "
        "factor of 2 of the truth, between the dashed lines within 3; numbers are those of the "
        "misses below. Hollow points call themselves inaccurate: right of 10 % all should, left "
        "of 3 % none."
    )
    return save_figure(
        effectivity_figure(lines),
        "error-bars",
        out,
        caption,
        data=lines,
        command=ladder_command(rows[rows["error_bar_status"].notna()]),
        label=" ".join([caption, *told]),
    )
