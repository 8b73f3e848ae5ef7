"""What one sees in a figure, in a sentence or two, for those who do not see it."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.equal_times import Ranking
from ...suite.measuring.formats import listed
from ..tables.ladders import is_right
from ..tables.summary import is_wrong


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
    said = [f"Time against gradient error, {ok['method'].nunique()} methods."]
    if len(ranking) >= 2:
        (last, slowest) = list(ranking.seconds.items())[-1]
        said.append(
            f"At error {formats.power(error)} the lowest, and so the fastest, is {ranking.fastest} "
            f"with {formats.seconds(ranking.best)}; the highest is {last} with "
            f"{formats.seconds(slowest)}."
        )
    best = ok.loc[ok["error"].idxmin()]
    said.append(
        f"Furthest to the left is {best['method']}, its error {formats.error(best['error'])}."
    )
    return " ".join([*said, *_wrong(rows)])


def stability_label(rows: pd.DataFrame) -> str:
    """Which rows of a stability map of one problem are good throughout, and which are not."""
    tried = rows[rows["status"].ne("skipped")]
    shares = is_right(tried).groupby(tried["method"], sort=False).mean()
    right = [str(name) for name, share in shares.items() if share == 1]
    broken = tried[tried["status"].ne("ok")]["method"].unique()
    said = [f"{len(right)} of {len(shares)} methods are right at every tolerance"]
    said[0] += f": {listed(right)}." if right else "."
    if len(broken):
        said.append(f"Hatched somewhere, as they broke down: {listed(list(broken))}.")
    return " ".join([*said, *_wrong(rows)])


def _wrong(rows: pd.DataFrame) -> list[str]:
    names = list(rows.loc[is_wrong(rows), "method"].unique())
    return [f"Wrong by over 10 % somewhere, and ok: {listed(names)}."] if names else []


def map_label(cells: pd.DataFrame) -> str:
    """The best and the worst rows of the map of all methods on all problems."""
    right = cells.groupby("method", sort=False)["right"].sum()
    tried = cells.groupby("method", sort=False)["tried"].sum()
    shares = right.divide(tried).dropna().sort_values()
    if shares.empty:
        return "Stability map without cells: nothing was tried."
    whole = list(shares[shares.eq(1)].index)
    lowest = [f"{name} {formats.percent(share)}" for name, share in shares.head(3).items()]
    said = f"Share of tolerances that were right, {len(shares)} methods on "
    said += f"{cells['problem'].nunique()} problems. Right everywhere they were tried: "
    return f"{said}{listed(whole) or 'none'}. Lowest overall: {', '.join(lowest)}."


def dots_label(
    lines: pd.DataFrame, column: str, label: str, write: Callable[[float], str] = formats.amount
) -> str:
    """The lowest and the highest median of a figure of dots."""
    known = lines[lines[column].gt(0)]
    medians = known.groupby("method")[column].median().sort_values()
    ends = [f"{medians.index[i]} with {write(medians.iloc[i])}" for i in (0, -1)]
    return (
        f"{label[0].upper()}{label[1:]}, {len(medians)} methods on {known['problem'].nunique()} "
        f"problems. By the median over problems the lowest is {ends[0]}, the highest {ends[1]}."
    )
