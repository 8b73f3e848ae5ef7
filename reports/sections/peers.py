"""The sections of a report about the peers, and about the kinds of adjoints on every backend."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false

from __future__ import annotations

import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.equal_times import NOISE
from ..tables.peers import BACKENDS, ERRORS, kind_lines, race_lines, races, standings, uncompiled
from ..tables.shown_table import Column, as_table
from .content import Part

_RACES_NOTE = (
    "Our fastest method of the same backend against each peer, at equal gradient error, times "
    "interpolated between tolerances. Faster and slower are ours; within a factor of "
    f"{NOISE:g} it is equal. A method that is more accurate already at its loosest tolerance takes "
    "that one's time. In seconds: peers.csv."
)


def peers_parts(rows: pd.DataFrame) -> list[Part]:
    """The parts about peers for which there is data.

    Parameters
    ----------
    rows : DataFrame
        The ladders of one machine and commit; may be empty.
    """
    found = races(rows) if not rows.empty else pd.DataFrame()
    parts = []
    for stiff, heading in (
        (False, "Against the peers, at equal error"),
        (True, "Against the peers on stiff problems, at equal error"),
    ):
        mine = found[found["stiff"].eq(stiff)] if not found.empty else found
        if mine.empty:
            continue
        columns = (
            Column("problem", "problem"),
            Column("peer", "peer"),
            *(Column(name, f"at error {name}") for name in map(formats.power, ERRORS)),
        )
        shown = as_table(race_lines(mine), columns)
        parts.append(
            Part(heading=heading, sentences=tuple(standings(mine)), table=shown, note=_RACES_NOTE)
        )
    return parts


def kinds_parts(rows: pd.DataFrame) -> list[Part]:
    """The part about kinds of adjoints, where more than one backend was measured.

    Parameters
    ----------
    rows : DataFrame
        The ladders of one machine and commit; may be empty.
    """
    lines = kind_lines(rows) if not rows.empty else rows
    measured = [name for name in BACKENDS if name in lines and lines[name].ne("–").any()]
    if len(measured) < 2:
        return []
    columns = (
        Column("problem", "problem"),
        Column("rtol", "tolerance", formats.power),
        Column("kind", "kind"),
        *(Column(name, name) for name in measured),
    )
    return [
        Part(
            heading="Kinds of adjoints on every backend",
            sentences=tuple(uncompiled(rows)),
            table=as_table(lines, columns),
            note=(
                "Time and error of one gradient; wrong: said ok and was off by more than 10 %; a "
                "dash: not measured, or there is none. Forward on scipy solves the sensitivity "
                "equations; interpolating on scipy is scipy-adjoint; the black boxes run SciPy's "
                "solvers."
            ),
        )
    ]
