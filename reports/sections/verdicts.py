"""What a reader wants to know first: accurate, stable, fast, on which problem; in words."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import pandas as pd

from ...suite.measuring.formats import error as as_error
from ...suite.measuring.formats import power
from ...suite.measuring.formats import seconds as as_seconds
from ..tables.ladders import Ladders
from .content import Verdict


def verdicts(ladders: Ladders) -> list[Verdict]:
    """One verdict a problem."""
    found = []
    for problem, mine in ladders.by_problem.items():
        lines = ladders.lines[ladders.lines["problem"].eq(problem)]
        bad = ~mine["status"].isin(["ok", "skipped"])
        found.append(
            Verdict(
                problem=problem,
                **_accurate(lines),
                stable=_stable(lines),
                **_fast(ladders, problem),
                wrong=_names(mine[ladders.wrong[mine.index]]),
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


def _fast(ladders: Ladders, problem: str) -> dict[str, str]:
    """The fastest method at equal error, and those that are as fast."""
    error, ranking = ladders.race(problem)
    if not len(ranking):
        return {"fast": "–", "fast_at": ""}
    at = f"{as_seconds(ranking.best)} at error {power(error)}"
    return {"fast": ", ".join(ranking.tied), "fast_at": at}
