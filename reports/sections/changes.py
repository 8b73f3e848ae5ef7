"""The part of a report that compares two codes or several machines."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ...suite.measuring import formats
from ..tables.changes import NO_MACHINE, SAME, Comparison, compare_machines
from ..tables.codes import Run, version_changes
from ..tables.machines import of_several
from ..tables.shown_table import WHERE, Column, as_table
from .content import Part

_COLUMNS = (
    *WHERE,
    Column("machine", "machine"),
    Column("verdict", "verdict"),
    Column("time", "time", formats.amount),
    Column("band", "equal within", formats.amount),
    Column("error", "error", formats.amount),
    Column("right_old", "right before", formats.amount),
    Column("right_new", "right now", formats.amount),
    Column("of", "of", formats.amount),
    Column("memory", "bytes kept", formats.amount),
    Column("evaluations", "evaluations", formats.amount),
    Column("first_call", "first call", formats.amount),
)

_NOTE = (
    "Time, error, bytes kept, evaluations and first call: new over old, medians over the "
    "tolerances that both have. Right: how many tolerances ended ok and within 10 %. Errors below "
    "what the reference is certified to are left out. All lines: comparison.csv."
)


def findings(found: Comparison, runs: Sequence[Run] = ()) -> list[str]:
    """What a comparison says, in sentences; the first is the answer."""
    lines = found.table
    worse, changed = lines[lines["worse"]], lines[lines["verdict"].ne(SAME)]
    said = [
        f"{found.new} against {found.old}: of {len(lines)} methods on problems that both have, "
        f"{len(worse)} became worse, {len(changed) - len(worse)} otherwise changed, "
        f"{len(lines) - len(changed)} are the same."
    ]
    sides = [[run for run in runs if run["code"] == code] for code in (found.old, found.new)]
    if changes := version_changes(*sides):
        said.append(f"Versions differ: {', '.join(changes)}.")
    if not found.same_machine:
        said.append("No machine has measured both, so that times cannot be compared.")
    elif apart := int(lines["machine"].eq(NO_MACHINE).sum()):
        said.append(
            f"{formats.count(apart, 'line')} of different machines: their times are not compared."
        )
    for machine, noise in found.noise.items() if found.same_machine else ():
        named = f"On {machine}: " if len(found.noise) > 1 else ""
        said.append(f"{named}{noise.sentence}")
    for code, names in found.alone.items():
        if names:
            more = f" and {len(names) - 6} more" if len(names) > 6 else ""
            said.append(f"Measured with {code} alone: {'; '.join(names[:6])}{more}.")
    return said


def comparison_parts(
    found: Comparison | None, lines: pd.DataFrame, runs: Sequence[Run], out: Path
) -> list[Part]:
    """The parts about codes and machines for which there is data.

    Parameters
    ----------
    found : Comparison or None
        Of two codes.
    lines : DataFrame
        The :func:`~adjointbench.reports.tables.summary.summary` of the newest code, of all
        machines; may be empty.
    runs : sequence of mapping
        The heads of the files.
    out : Path
        The folder of the report, which gets ``comparison.csv``.
    """
    parts = []
    if found is not None:
        found.table.to_csv(out / "comparison.csv", index=False)
        parts.append(
            Part(
                heading=f"{found.new} against {found.old}",
                sentences=tuple(findings(found, runs)),
                table=as_table(found.table, _COLUMNS),
                note=_NOTE,
            )
        )
    if not lines.empty and len(several := of_several(lines, "problem")):
        wide = compare_machines(several)
        names = [c for c in wide.columns if c not in ("problem", "method", "device")]
        columns = (*WHERE, *(Column(str(m), str(m), formats.seconds) for m in names))
        heading = "Time of one gradient on each machine"
        parts.append(Part(heading=heading, table=as_table(wide, columns)))
    return parts
