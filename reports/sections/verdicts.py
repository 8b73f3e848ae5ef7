"""What a reader wants to know first: accurate, stable, fast, on which problem; in words."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ...suite.measuring.formats import error as as_error
from ...suite.measuring.formats import power
from ...suite.measuring.formats import seconds as as_seconds
from ..tables.races import RACES, race
from ..tables.summary import is_wrong

#: Methods within this factor of the fastest count as fast, too.
CLOSE = 1.25


@dataclass(frozen=True)
class Verdict:
    """Which method was what on one problem, each as a sentence or part of one.

    Attributes
    ----------
    problem : str
    accurate, accurate_at : str
        The most accurate method, a dash where there is no reference or no gradient; its error.
    fast, fast_at : str
        The fastest method and those close to it, or a dash; the time, and at which equal error.
    stable : str
        The methods that were right on the whole ladder, or how many.
    wrong : tuple of str
        The methods that said ``ok`` and were wrong by more than 10 %.
    broken : tuple of str
        The methods that broke down somewhere on the ladder.
    skipped : tuple of str
        The methods that did not apply.
    """

    problem: str
    accurate: str
    accurate_at: str
    stable: str
    fast: str
    fast_at: str
    wrong: tuple[str, ...]
    broken: tuple[str, ...]
    skipped: tuple[str, ...]


def verdicts(rows: pd.DataFrame, table: pd.DataFrame) -> list[Verdict]:
    """One verdict a problem.

    Parameters
    ----------
    rows : DataFrame
        The rows of one machine and commit.
    table : DataFrame
        Their :func:`~adjointbench.reports.tables.summary.summary`.
    """
    wrong = is_wrong(rows)
    found = []
    for problem, mine in rows.groupby("problem", sort=True):
        lines = table[table["problem"].eq(problem)]
        bad = ~mine["status"].isin(["ok", "skipped"])
        found.append(
            Verdict(
                problem=str(problem),
                **_accurate(lines),
                stable=_stable(lines),
                **_fast(mine),
                wrong=_names(mine[wrong[mine.index]]),
                broken=_names(mine[bad]),
                skipped=_names(mine[mine["status"].eq("skipped")]),
            )
        )
    return found


def _names(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rows["method"]))


def _accurate(lines: pd.DataFrame) -> dict[str, str]:
    known = lines.dropna(subset=["best_error"])
    if known.empty:
        return {"accurate": "–", "accurate_at": ""}
    best = known.loc[known["best_error"].idxmin()]
    return {"accurate": best["method"], "accurate_at": f"error {as_error(best['best_error'])}"}


def _stable(lines: pd.DataFrame) -> str:
    """The methods that were right everywhere; the best share where none was."""
    tried = lines[lines["share"].notna()]
    if tried.empty or tried["best_error"].isna().all():
        return "–"
    right = list(tried.loc[tried["share"].eq(1.0), "method"])
    if not right:
        return "none on the whole ladder"
    if len(right) > 3:
        return f"{len(right)} of {len(tried)} methods"
    return ", ".join(right)


def _fast(rows: pd.DataFrame) -> dict[str, str]:
    """The fastest method at equal error, and those close behind."""
    for target in RACES:
        times = race(rows, target)
        if len(times) >= 2 or (target == RACES[-1] and len(times)):
            fastest = times.iloc[0]
            close = list(times[times <= CLOSE * fastest].index)
            at = f"{as_seconds(fastest)} at error {power(target)}"
            return {"fast": ", ".join(close), "fast_at": at}
    return {"fast": "–", "fast_at": ""}
