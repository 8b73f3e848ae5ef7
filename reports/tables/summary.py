"""From measured rows to the tables of a report."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...adjoints.methods.method import FAMILIES
from ...suite.measuring.formats import engine, power
from ...suite.measuring.ladder import amplification, observed_order, share_right, typical_rtol
from ...suite.measuring.row import Row
from .endings import counted, error_bars_in_words, is_broken, is_tried, is_unfinished, is_wrong
from .frames import rows_of

#: What tells one line of a report from another.
KEY = ("problem", "method", "device", "machine", "code")

COUNTS = (
    "steps",
    "rejected",
    "rhs_evals",
    "reverse_steps",
    "reverse_rhs_evals",
    "vjp_evals",
    "jvp_evals",
    "jacobian_evals",
    "linear_solves",
)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a method on a problem: stability over the ladder, costs at the typical tolerance.

    Parameters
    ----------
    rows : DataFrame
        As from :func:`~adjointbench.reports.tables.read.read_measurements`.

    Returns
    -------
    DataFrame
        Columns of :data:`KEY`, ``family``, ``solver``, ``engine``, ``share`` (right ones of those
        tolerances of the ladder that were done in their time), ``unfinished`` (how many were
        not), ``order``,
        ``amplification`` (median of gradient error over the error of the loss), ``best_error``,
        ``agreement`` (to which the reference is certified: smaller errors are all alike),
        ``error``, ``dy0_error``, ``seconds``, ``ratio``, ``saved_bytes``, ``first_call_s`` and
        the counts at the typical tolerance, ``statuses``, ``wrong`` (how many say ``ok`` and are
        not right) and ``skipped`` (why, where it was).
    """
    wrong = is_wrong(rows)
    measured = dict(zip(rows.index, rows_of(rows), strict=True))
    lines = []
    for key, ladder in rows.groupby(list(KEY), sort=False, dropna=False):
        line = dict(zip(KEY, key, strict=True)) | _line(
            ladder, [measured[index] for index in ladder.index]
        )
        lines.append(line | {"wrong": int(wrong[ladder.index].sum())})
    table = pd.DataFrame(lines)
    order = table["family"].map(FAMILIES.index)
    return table.iloc[np.lexsort((table["method"], order, table["problem"]))].reset_index(drop=True)


def _line(ladder: pd.DataFrame, rows: Sequence[Row]) -> dict[str, Any]:
    ok, late = ladder[ladder["status"].eq("ok")], is_unfinished(ladder)
    done = [row for row, is_late in zip(rows, late, strict=True) if not is_late]
    typical = ladder[ladder["rtol"].eq(typical_rtol(ladder["rtol"]))].iloc[0]
    skipped = ladder[~is_tried(ladder)]
    at_typical = ("error", "dy0_error", "seconds", "ratio", "first_call_s", "saved_bytes")
    solvers = ladder["solver"].dropna()
    engines = ladder["engine"].dropna() if "engine" in ladder else ()
    return {
        "family": ladder["family"].iloc[0],
        "solver": solvers.iloc[0] if len(solvers) else "",
        "engine": engine(next(iter(engines), None)),
        "share": math.nan if len(skipped) or not done else share_right(done),
        "unfinished": int(late.sum()),
        "order": observed_order(rows),
        "amplification": amplification(rows),
        "best_error": ok["error"].min(),
        "agreement": ladder["agreement"].min() if "agreement" in ladder else math.nan,
        **{name: typical[name] for name in (*at_typical, *COUNTS)},
        "statuses": counted(ladder["status"]),
        "skipped": skipped["message"].iloc[0] if len(skipped) else "",
    }


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """What broke down: status, phase and message, with the tolerances at which it did."""
    return _grouped(rows[is_broken(rows)], ["problem", "method", "status", "phase", "message"])


def unfinished(rows: pd.DataFrame) -> pd.DataFrame:
    """What was not done in its time: the time, and the tolerances at which it was not."""
    return _grouped(rows[is_unfinished(rows)], ["problem", "method", "message"])


def wrong_answers(rows: pd.DataFrame) -> pd.DataFrame:
    """What says ``ok`` and is wrong by more than 10 %: its worst error, and its error bars."""
    wrong = rows[is_wrong(rows)]
    table = _grouped(wrong, ["problem", "method"])
    groups = [mine for _, mine in wrong.groupby(["problem", "method"], sort=False)]
    table["worst_error"] = [mine["error"].max() for mine in groups]
    table["error_bar"] = [error_bars_in_words(mine) for mine in groups]
    return table


def skips(rows: pd.DataFrame) -> pd.DataFrame:
    """What was not measured, and the method's own sentence why."""
    skipped = rows[~is_tried(rows)]
    return skipped[["problem", "method", "message"]].drop_duplicates().reset_index(drop=True)


def _grouped(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """One line a group, with the tolerances that it covers."""
    ladder = sorted(rows["rtol"].unique(), reverse=True)
    groups = rows.fillna({"phase": "", "message": ""}).groupby(list(by), sort=False)["rtol"]
    lines = [(*key, _range(sorted(rtols, reverse=True), ladder)) for key, rtols in groups]
    return pd.DataFrame(lines, columns=pd.Index([*by, "at rtol"]))


def _range(rtols: list[float], ladder: list[float]) -> str:
    """Tolerances in words: from … to … where no step of the ladder is left out."""
    first, last = ladder.index(rtols[0]), ladder.index(rtols[-1])
    if len(rtols) > 2 and last - first + 1 == len(rtols):
        return f"{power(rtols[0])} … {power(rtols[-1])}"
    return ", ".join(power(rtol) for rtol in rtols)
