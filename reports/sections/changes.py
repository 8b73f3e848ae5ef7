"""The part of a report that compares two codes or several machines."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ...suite.measuring import formats
from ..tables.changes import SAME, Comparison, compare_benchmarks, compare_codes, compare_machines
from ..tables.codes import Run, changed_packages, find_code, in_order, version_changes
from ..tables.read import Measurements, read_measurements
from ..tables.shown_table import Column, as_table
from ..tables.summary import summary
from .content import Part

#: Changes of asv's figures that the page lists; all of them are in the table file.
MOST_CHANGES = 40

_WHERE = (Column("problem", "problem"), Column("method", "method"))

_COLUMNS = (
    *_WHERE,
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


def read_with_base(paths: Sequence[Path], base: str | None) -> Measurements:
    """Results, and those of `base` too where it is a file or a folder."""
    found = Path(base) if base is not None else None
    return read_measurements(paths, found if found is not None and found.exists() else None)


def compare_with(
    rows: pd.DataFrame, runs: Sequence[Run], base: str | None = None
) -> Comparison | None:
    """The newest code against another one.

    Parameters
    ----------
    rows : DataFrame
        As from :func:`~adjointbench.reports.tables.read.read_measurements`.
    runs : sequence of mapping
        The heads of its files.
    base : str, optional
        What to compare with, see :func:`~adjointbench.reports.tables.codes.find_code`; by
        default the code before the newest, if there is one.

    Returns
    -------
    Comparison or None
        Nothing where only one code was measured and no base is asked for.

    Raises
    ------
    ValueError
        Where nothing was measured with `base`.
    """
    mine = [run for run in runs if not run.get("base")]
    ordered = in_order(rows[rows["code"].isin({run["code"] for run in mine})])
    new = ordered[-1] if ordered else ""
    if base is None and len(ordered) < 2:
        return None
    old = ordered[-2] if base is None else find_code(base, runs, new)
    sides = [[run for run in runs if run["code"] == code] for code in (old, new)]
    return compare_codes(rows, old, new, changed_packages(*sides))


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
    for machine, noise in found.noise.items() if found.same_machine else ():
        named = f"On {machine}: " if len(found.noise) > 1 else ""
        said.append(f"{named}{noise.sentence}")
    for code, names in found.alone.items():
        if names:
            more = f" and {len(names) - 6} more" if len(names) > 6 else ""
            said.append(f"Measured with {code} alone: {'; '.join(names[:6])}{more}.")
    return said


def comparison_parts(
    rows: pd.DataFrame, found: Comparison | None, runs: Sequence[Run], out: Path
) -> list[Part]:
    """The parts about codes and machines for which there is data.

    Parameters
    ----------
    rows : DataFrame
        As from :func:`~adjointbench.reports.tables.read.read_measurements`.
    found : Comparison or None
        Of two of its codes.
    runs : sequence of mapping
        The heads of its files.
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
    newest = rows[rows["code"].eq(in_order(rows)[-1])] if not rows.empty else rows
    if not rows.empty and newest["machine"].nunique() > 1:
        wide = compare_machines(summary(newest))
        names = [c for c in wide.columns if c not in ("problem", "method", "device")]
        columns = (*_WHERE, *(Column(str(m), str(m), formats.seconds) for m in names))
        heading = "Time of one gradient on each machine"
        parts.append(Part(heading=heading, table=as_table(wide, columns)))
    return parts


def benchmark_changes(asv: pd.DataFrame) -> list[Part]:
    """The part about the figures of asv that changed most between its last two commits."""
    names = in_order(asv, "commit") if not asv.empty else []
    if len(names) < 2:
        return []
    changes = compare_benchmarks(asv, names[-2], names[-1]).head(MOST_CHANGES)
    changes = changes.assign(parameters=changes["parameters"].map(", ".join))
    columns = (
        *(Column(name, name) for name in ("benchmark", "parameters", "machine")),
        Column("value_old", names[-2], formats.amount),
        Column("value_new", names[-1], formats.amount),
    )
    shown = as_table(changes, columns)
    return [Part(heading="asv's figures that changed most", table=shown)] if shown else []
