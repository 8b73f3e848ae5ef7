"""What one sees in a figure, in a sentence or two, for those who do not see it."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.equal_times import Ranking
from ...suite.measuring.formats import listed
from ..tables.endings import is_broken, is_right, is_tried, is_unfinished, is_wrong, says_so


def work_precision_label(rows: pd.DataFrame, error: float, ranking: Ranking) -> str:
    """Who is lowest and who highest in a work–precision figure of one problem.

    Parameters
    ----------
    rows : DataFrame
        The rows of the problem.
    error, ranking : float, Ranking
        A gradient error, and the methods by the time that they take for it.
    """
    ok = rows[rows["status"].eq("ok") & rows["error"].notna()]
    if ok.empty:
        return "Work–precision figure without points: no method gave a gradient."
    said = [f"Time against gradient error, {formats.count(ok['method'].nunique(), 'method')}."]
    if len(ranking) >= 2:
        (last, slowest) = list(ranking.seconds.items())[-1]
        said.append(
            f"At error {formats.power(error)} the lowest, and so the fastest, is {ranking.fastest} "
            f"with {formats.seconds(ranking.best)}; the highest is {last} with "
            f"{formats.seconds(slowest)}."
        )
    floor = rows["agreement"].min() if "agreement" in rows else math.nan
    lowest = max(ok["error"].min(), 0.0 if math.isnan(floor) else floor)
    best = list(dict.fromkeys(ok.loc[ok["error"].le(lowest), "method"]))
    told = formats.certified_error(ok["error"].min(), floor)
    said.append(f"Furthest to the left: {listed(best)}, error {told}.")
    return " ".join([*said, *_wrong(rows)])


def stability_label(rows: pd.DataFrame) -> str:
    """Which rows of a stability map of one problem are good throughout, and which are not."""
    tried = rows[is_tried(rows)]
    shares = is_right(tried).groupby(tried["method"], sort=False).mean()
    right = [str(name) for name, share in shares.items() if share == 1]
    broken, late = (tried[which(tried)]["method"].unique() for which in (is_broken, is_unfinished))
    said = [f"{len(right)} of {formats.count(len(shares), 'method')} right at every tolerance"]
    said[0] += f": {listed(right)}." if right else "."
    if len(broken):
        said.append(f"Hatched somewhere, as they broke down: {listed(list(broken))}.")
    if len(late):
        said.append(f"Not done in their time somewhere: {listed(list(late))}.")
    return " ".join([*said, *_wrong(rows)])


def _wrong(rows: pd.DataFrame) -> list[str]:
    wrong = rows[is_wrong(rows)]
    names = list(wrong["method"].unique())
    honest = list(wrong.loc[says_so(wrong), "method"].unique())
    said = [f"Wrong by over 10 % somewhere, and ok: {listed(names)}."] if names else []
    return said + ([f"Say so with an error bar: {listed(honest)}."] if honest else [])


def map_label(cells: pd.DataFrame) -> str:
    """The best and the worst rows of the map of all methods on all problems."""
    methods = cells["method"]
    done = (cells["tried"] - cells["unfinished"]).groupby(methods).sum()
    shares = cells["right"].groupby(methods).sum().divide(done).dropna().sort_values(kind="stable")
    if shares.empty:
        return "Stability map without cells: nothing was tried."
    unfinished = set(cells.loc[cells["unfinished"].gt(0), "method"])
    whole = [str(name) for name in shares.index[shares.eq(1)] if name not in unfinished]
    said = f"Share of tolerances that were right, {formats.count(len(shares), 'method')} on "
    said += f"{formats.count(cells['problem'].nunique(), 'problem')}. Right everywhere they were "
    said += f"tried: {listed(whole) or 'none'}. Lowest overall: "
    return f"{said}{formats.ranked(shares[shares.lt(1)], formats.percent) or 'none'}."


def dots_label(
    lines: pd.DataFrame, column: str, label: str, write: Callable[[float], str] = formats.amount
) -> str:
    """The lowest and the highest median of a figure of dots."""
    known = lines[lines[column].gt(0)]
    medians = known.groupby("method")[column].median().sort_values()
    ends = [f"{medians.index[i]} with {write(medians.iloc[i])}" for i in (0, -1)]
    return (
        f"{label[0].upper()}{label[1:]}, {formats.count(len(medians), 'method')} on "
        f"{formats.count(known['problem'].nunique(), 'problem')}. By the median over problems the "
        f"lowest is {ends[0]}, the highest {ends[1]}."
    )
