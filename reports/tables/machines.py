"""Rows of one code from several machines: what joins, and what is told apart.

Errors, statuses and counts of different machines join. Times are comparable within one machine
only: of each problem those of one machine are kept.
"""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import pandas as pd

#: What a clock has measured.
TIMES = ("seconds", "seconds_low", "seconds_high", "primal_seconds", "first_call_s", "compile_s")

#: What tells the ladders of one problem from each other.
_LADDER = ["method", "device"]


def joined(rows: pd.DataFrame, first: str, by: str) -> pd.DataFrame:
    """Rows of one code: of each group those of one machine, and what only others have measured.

    Parameters
    ----------
    rows : DataFrame
        Of one code.
    first : str
        The machine to prefer, unless it has measured less than half of what another has.
    by : str
        The column of the groups within which times are compared.

    Returns
    -------
    DataFrame
        In the order of `rows`. What comes from other machines than the rest of its group has no
        times.
    """
    if rows["machine"].nunique() <= 1:
        return rows.reset_index(drop=True)
    kept = [_of_group(group, first) for _, group in rows.groupby(by, sort=False)]
    return pd.concat(kept).sort_index().reset_index(drop=True)


def _of_group(group: pd.DataFrame, first: str) -> pd.DataFrame:
    counts = group.drop_duplicates(["machine", *_LADDER])["machine"].value_counts()
    main = first if 2 * int(counts.get(first, 0) or 0) >= counts.max() else counts.idxmax()
    own = group["machine"].eq(main)
    there = pd.MultiIndex.from_frame(group[_LADDER])
    others = group[~own & ~there.isin(there[own])]
    if others.empty:
        return group[own]
    newest = others.sort_values("date", kind="stable").drop_duplicates(_LADDER, keep="last")
    alike = pd.MultiIndex.from_frame(others[["machine", *_LADDER]])
    others = others[alike.isin(pd.MultiIndex.from_frame(newest[["machine", *_LADDER]]))]
    times = [name for name in TIMES if name in others]
    return pd.concat([group[own], others.assign(**dict.fromkeys(times, float("nan")))])


def of_several(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    """What more than one machine has measured, by this column."""
    return rows[rows.groupby(by)["machine"].transform("nunique").gt(1)]


def of_all(rows: pd.DataFrame) -> pd.DataFrame:
    """Of problems that several machines have measured, the methods that all of them have."""
    shared = of_several(rows, "problem")
    machines = [
        shared.groupby(by)["machine"].transform("nunique")
        for by in ("problem", ["problem", "method"])
    ]
    return shared[machines[0].eq(machines[1])]
