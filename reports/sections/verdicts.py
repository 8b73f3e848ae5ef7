"""What a reader wants to know first: accurate, stable, fast, on which problem; in words."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import numpy as np
import pandas as pd

from ...suite.measuring import formats
from ..tables.endings import is_broken, is_tried, is_unfinished, says_so
from ..tables.ladders import Ladders
from .content import Verdict


def verdicts(ladders: Ladders) -> list[Verdict]:
    """One verdict a problem."""
    found = []
    for problem, mine in ladders.by_problem.items():
        lines = ladders.lines[ladders.lines["problem"].eq(problem)]
        found.append(
            Verdict(
                problem=problem,
                **_accurate(lines),
                stable=_stable(lines),
                **_fast(ladders, problem),
                wrong=_wrong(mine[ladders.wrong[mine.index]]),
                broken=_names(mine[is_broken(mine)]),
                unfinished=_names(mine[is_unfinished(mine)]),
                skipped=_names(mine[~is_tried(mine)]),
            )
        )
    return found


def _names(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rows["method"]))


def _wrong(rows: pd.DataFrame) -> tuple[str, ...]:
    """The methods of rows that are wrong, and which of them say so with an error bar."""
    honest = says_so(rows).groupby(rows["method"], sort=False).all()
    return tuple(
        f"{name} (says so itself with an error bar)" if all_of_them else str(name)
        for name, all_of_them in honest.items()
    )


def _accurate(lines: pd.DataFrame) -> dict[str, str]:
    """The methods with the smallest error; all that are below the certificate's agreement."""
    known = lines.dropna(subset=["best_error"])
    if known.empty:
        return {"accurate": "–", "accurate_at": ""}
    errors = np.fmax(known["best_error"], known["agreement"])
    best = known[errors.eq(errors.min())]
    first = best.iloc[0]
    told = formats.certified_error(first["best_error"], first["agreement"])
    return {"accurate": formats.listed(list(best["method"])), "accurate_at": f"error {told}"}


def _stable(lines: pd.DataFrame) -> str:
    """The methods that were right everywhere; the best share where none was."""
    tried = lines[lines["skipped"].eq("")]
    if tried.empty or tried["best_error"].isna().all():
        return "–"
    right = list(tried.loc[tried["share"].eq(1.0) & tried["unfinished"].eq(0), "method"])
    if not right:
        return "none on the whole ladder"
    if len(right) > 3:
        return f"{len(right)} of {formats.count(len(tried), 'method')}"
    return ", ".join(right)


def _fast(ladders: Ladders, problem: str) -> dict[str, str]:
    """The fastest method at equal error, and those that are as fast."""
    error, everyone = ladders.race(problem)
    ranking = everyone.among(ladders.trusted)
    if not len(ranking):
        return {"fast": "–", "fast_at": ""}
    at = f"{formats.seconds(ranking.best)} at error {formats.power(error)}"
    ahead = [name for name in everyone.tied if name not in ladders.trusted]
    at += f"; as fast or faster, not recommended: {', '.join(ahead)}" if ahead else ""
    return {"fast": ", ".join(ranking.tied), "fast_at": at}
