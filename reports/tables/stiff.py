"""What stiffness does to a gradient: tables and sentences, all computed from rows."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from ...adjoints.methods.method import BACKWARD
from ...suite.measuring import formats
from ...suite.measuring.ladder import is_right, typical_rtol
from ...suite.measuring.names import adjoint_of
from ...suite.measuring.row import Row
from ...suite.measuring.studies import scaling
from .frames import rows_of
from .published import ATTRIBUTED, COUNTERPARTS, TABLE, TABLE_PROBLEMS
from .summary import FAMILIES, failures, wrong_answers

#: The tolerance of the published table.
PUBLISHED_RTOL = 1e-7

#: Why kinds of methods break on stiff problems: said where they did.
REASONS = {
    BACKWARD: (
        "Backsolve reconstructs the state backwards in time, and what decays fast forwards grows "
        "as fast backwards: rounding and truncation swamp the state, whatever the tolerance. The "
        "solver meets its tolerance on the wrong path, or gives up."
    ),
    ("finite-difference",): (
        "Finite differences divide the noise of an adaptive solve by the change of a parameter."
    ),
}


def stiff_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of problems that are stiff, skipped ones left out."""
    if "stiff" not in rows:
        return rows.iloc[:0]
    # A row that came from a timeout does not know the problem.
    known = set(rows.loc[rows["stiff"].eq(True), "problem"])
    return rows[rows["problem"].isin(known) & rows["status"].ne("skipped")]


def scaling_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the scaling study with ``n`` and ``unknowns``, smallest first."""
    points = rows["problem"].map(scaling.points_of)
    table = rows.assign(n=points, unknowns=points.map(scaling.unknowns))
    return table.sort_values(["method", "n"], kind="stable").reset_index(drop=True)


def scaling_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a method: seconds or status at each size, and the exponent.

    Parameters
    ----------
    rows : DataFrame
        The rows of the scaling study on one machine.

    Returns
    -------
    DataFrame
        Columns ``method``, ``family``, one a size (its digits), ``exponent``.
    """
    table = scaling_table(rows)
    measured = scaling.times(rows_of(rows))
    lines = []
    for method, mine in table.groupby("method", sort=False):
        cells = {str(row["unknowns"]): _seconds_or_status(row) for _, row in mine.iterrows()}
        slope = scaling.exponent(measured.get(method, {}))
        about = {"method": method, "family": mine["family"].iloc[0], "exponent": slope}
        lines.append(about | cells)
    return _by_family(pd.DataFrame(lines))


def _seconds_or_status(row: Any) -> str:
    if row["status"] != "ok":
        return str(row["status"])
    return formats.seconds(row.get("seconds")) + (", wrong" if _is_wrong(row) else "")


def _by_family(lines: pd.DataFrame) -> pd.DataFrame:
    order = lines["family"].map(FAMILIES.index)
    return lines.assign(order=order).sort_values(["order", "method"]).drop(columns="order")


def published_table(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, float]]]:
    """Seconds a gradient beside the published ones.

    Parameters
    ----------
    rows : DataFrame
        The rows of all problems on one machine.

    Returns
    -------
    table : DataFrame
        One line a method: ``method``, ``family``, ``counterpart`` and for each problem its
        own column and one called ``"published <problem>"``.
    problems : list of (str, float)
        The published problems that were measured, each with the tolerance used: the measured
        one nearest to 1e-7.
    """
    found, cells = [], {}
    for problem in TABLE_PROBLEMS:
        mine = rows[rows["problem"].eq(problem) & rows["status"].ne("skipped")]
        if mine.empty:
            continue
        rtol = min(mine["rtol"], key=lambda r: abs(math.log10(r / PUBLISHED_RTOL)))
        found.append((problem, float(rtol)))
        for _, row in mine[mine["rtol"].eq(rtol)].iterrows():
            line = cells.setdefault(row["method"], {"family": row["family"]})
            line[problem] = _seconds_or_status(row)
    lines = []
    for method, line in cells.items():
        counterpart = COUNTERPARTS.get(adjoint_of(method), "–")
        theirs = dict(zip(TABLE_PROBLEMS, TABLE.get(counterpart, ()), strict=False))
        shown = {p: line.get(p, "–") for p, _ in found}
        beside = {f"published {p}": _published(theirs.get(p, "–")) for p, _ in found}
        about = {"method": method, "family": line["family"], "counterpart": counterpart}
        lines.append(about | shown | beside)
    return (_by_family(pd.DataFrame(lines)) if lines else pd.DataFrame()), found


def _published(value: float | str) -> str:
    return value if isinstance(value, str) else formats.seconds(value)


def _is_wrong(row: Row) -> bool:
    return row.referenced is True and not is_right(row)


def breakages(rows: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """For each stiff problem what was wrong though ``ok``, and what broke down, in sentences.

    Parameters
    ----------
    rows : DataFrame
        As from :func:`stiff_rows`.

    Returns
    -------
    list of (str, list of str)
        Problem and sentences; a problem where all went well says so.
    """
    told = []
    for problem, mine in rows.groupby("problem", sort=True):
        lies = wrong_answers(mine)
        sentences = [
            f"{line['method']} said ok at {line['at rtol']} and was wrong by more than 10 %: "
            f"its error came to {formats.error(line['worst_error'])}."
            for _, line in lies.iterrows()
        ]
        for (method, status, phase), group in failures(mine).groupby(
            ["method", "status", "phase"], sort=False
        ):
            where = f" in the {phase} pass" if phase in ("forward", "reverse") else ""
            rtols = ", ".join(group["at rtol"])
            why = str(group["message"].iloc[0]).rstrip(".")
            reason = f": {why}" if why else ""
            sentences.append(f"{method} ended with {status}{where} at {rtols}{reason}.")
        told.append((str(problem), sentences or [_all_well(mine)]))
    return told


def _all_well(rows: pd.DataFrame) -> str:
    count = rows["method"].nunique()
    if rows["referenced"].eq(True).all():
        return f"All {count} methods were right throughout."
    return (
        f"All {count} methods ended ok; without a certified reference nothing says whether they "
        "were right."
    )


def reasons(rows: pd.DataFrame) -> list[str]:
    """Why the kinds of methods broke that did break, each with how often."""
    said = []
    for kinds, reason in REASONS.items():
        mine = rows[rows["method"].map(adjoint_of).isin(kinds)]
        cells = rows_of(mine)
        bad = [row for row in cells if _is_wrong(row) or row.status != "ok"]
        if not bad:
            continue
        lies = sum(row.status == "ok" for row in bad)
        said.append(
            f"{', '.join(sorted(set(mine['method'])))}: of {len(cells)} stiff solves "
            f"{len(cells) - len(bad)} were right, {lies} said ok and were wrong, "
            f"{len(bad) - lies} broke down. {reason}"
        )
    return said


def costs(rows: pd.DataFrame) -> pd.DataFrame:
    """Attributed stability and cost beside what was measured on the stiff problems.

    Parameters
    ----------
    rows : DataFrame
        As from :func:`stiff_rows`.

    Returns
    -------
    DataFrame
        One line a measured method: ``kind``, ``stability``, ``cost``, ``memory`` (attributed),
        ``method``, ``family``, ``right`` (share of all tolerances of all stiff problems), and
        one column a problem with Jacobians and linear solves at the typical tolerance.
    """
    lines = []
    for kind in ATTRIBUTED:
        found = rows[rows["method"].map(adjoint_of).isin(kind.adjoints)]
        for method, mine in found.groupby("method", sort=False):
            judged = mine[mine["referenced"].eq(True) | mine["status"].ne("ok")]
            right = [is_right(row) for row in rows_of(judged)]
            line = {
                "kind": kind.name,
                "stability": kind.stability,
                "cost": kind.cost,
                "memory": kind.memory,
                "method": method,
                "family": mine["family"].iloc[0],
                "right": sum(right) / len(right) if right else math.nan,
            }
            for problem, ladder in mine.groupby("problem"):
                rtol = typical_rtol(ladder["rtol"])
                line[str(problem)] = _counts(ladder[ladder["rtol"].eq(rtol)].iloc[0])
            lines.append(line)
    return pd.DataFrame(lines).fillna("–") if lines else pd.DataFrame()


def _counts(row: Any) -> str:
    """Jacobians and linear solves of one gradient, or its status where there is none."""
    if row["status"] != "ok":
        return str(row["status"])
    pair = (row["jacobian_evals"], row["linear_solves"])
    if all(pd.isna(count) for count in pair):
        return "–"
    return " / ".join(formats.amount(None if pd.isna(count) else count) for count in pair)
