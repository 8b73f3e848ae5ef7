"""The few findings that a reader wants first: computed sentences that lead to the evidence."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.equal_times import NOISE
from ...suite.measuring.formats import listed
from ...suite.measuring.ladder import is_right
from ...training.ratios import summary_of
from ..tables.frames import rows_of
from ..tables.races import race
from ..tables.stiff import stiff_rows
from ..tables.summary import FAMILIES, is_wrong
from .training import findings as training_findings

#: The gradient error at which times are compared here.
ERROR = 1e-4

#: How many findings the summary holds at most.
MOST = 4


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes
    ----------
    heading : str
        What it is about.
    text : str
        A sentence or two.
    href : str
        Where on the page the evidence is.
    """

    heading: str
    text: str
    href: str


def findings(rows: pd.DataFrame, lines: pd.DataFrame, trainings: pd.DataFrame) -> list[Finding]:
    """At most :data:`MOST` findings, those for which there is data.

    Parameters
    ----------
    rows : DataFrame
        The rows of one machine and commit; may be empty.
    lines : DataFrame
        Their :func:`~adjointbench.reports.tables.summary.summary`.
    trainings : DataFrame
        All epochs of all trainings; may be empty.
    """
    found = [training(trainings)] if not trainings.empty else []
    if not rows.empty:
        found = [fastest(rows), wrong(rows), stiff(rows), *found, cost(lines)]
    return [finding for finding in found if finding is not None][:MOST]


def fastest(rows: pd.DataFrame) -> Finding | None:
    """Who is fastest at equal error on how many problems, and by how much against the best peer."""
    races = [
        race(mine, ERROR)
        for problem, mine in rows.groupby("problem", sort=True)
        if mine["referenced"].eq(True).any()
    ]
    races = [times for times in races if len(times) > 1]
    if not races:
        return None
    family = dict(zip(rows["method"], rows["family"], strict=True))
    close = [name for times in races for name in times.index[times <= NOISE * times.iloc[0]]]
    winners = pd.Series(close).value_counts()
    said = [
        f"At a gradient error of {formats.power(ERROR)}, {winners.index[0]} is the fastest, or as "
        f"fast within a factor of {NOISE:g}, on {winners.iloc[0]} of {_problems(len(races))}"
    ]
    ratios = [ratio for times in races if (ratio := _peer_over_ours(times, family)) is not None]
    if ratios:
        said.append(_against_peers(ratios))
    others = [f"{name} on {count}" for name, count in winners.iloc[1:4].items()]
    if others:
        said[0] += f" ({', '.join(others)})"
    return Finding("Fastest at equal error", ". ".join(said) + ".", "#peers")


def _peer_over_ours(times: pd.Series, family: dict[str, str]) -> float | None:
    """Seconds of the best peer over those of our best method; ``None`` where either is missing."""
    peers = [seconds for name, seconds in times.items() if family[name] == "peers"]
    ours = [seconds for name, seconds in times.items() if family[name] != "peers"]
    return min(peers) / min(ours) if peers and ours else None


def _against_peers(ratios: list[float]) -> str:
    won = sum(ratio > NOISE for ratio in ratios)
    lost = sum(ratio < 1 / NOISE for ratio in ratios)
    return (
        f"Against the best peer on each of {_problems(len(ratios))} where both get there, the best "
        f"method here is faster on {won}, slower on {lost} and equal on "
        f"{len(ratios) - won - lost}; the peer's time over ours has the median "
        f"{formats.amount(median(ratios))}, from {formats.amount(min(ratios))} to "
        f"{formats.amount(max(ratios))}"
    )


def wrong(rows: pd.DataFrame) -> Finding | None:
    """What says ``ok`` and is wrong: how many of how many, and by which methods."""
    judged = rows[rows["status"].eq("ok") & rows["referenced"].eq(True)]
    if judged.empty:
        return None
    lies = judged[is_wrong(judged)]
    if lies.empty:
        text = f"None of {len(judged)} gradients that ended ok was wrong by more than 10 %."
        return Finding("Ok, and wrong", text, "#map")
    by_method = lies["method"].value_counts()
    most = ", ".join(f"{name} {count} times" for name, count in by_method.head(3).items())
    text = (
        f"{len(lies)} of {len(judged)} gradients that ended ok were wrong by more than 10 %, by "
        f"{by_method.size} methods on {_problems(lies['problem'].nunique())}. Most often: {most}."
    )
    return Finding("Ok, and wrong", text, "#wrong")


def stiff(rows: pd.DataFrame) -> Finding | None:
    """Which methods break on stiff problems, and which do not."""
    tried = stiff_rows(rows)
    tried = tried[tried["referenced"].eq(True) | tried["status"].ne("ok")]
    if tried.empty:
        return None
    right = pd.Series([is_right(row) for row in rows_of(tried)], index=tried.index)
    by_method = right.groupby(tried["method"]).agg(["sum", "size"])
    by_method["share"] = by_method["sum"] / by_method["size"]
    whole = list(by_method.index[by_method["share"].eq(1)])
    text = (
        f"On {_problems(tried['problem'].nunique(), 'stiff problem')} "
        f"{formats.percent(right.mean())} of {len(tried)} gradients were right. "
    )
    text += f"Right throughout: {listed(whole)}. " if whole else "No method was right throughout. "
    worst = by_method[by_method["share"].lt(1)].sort_values("share").head(3)
    told = [f"{name} {line['sum']:.0f} of {line['size']:.0f}" for name, line in worst.iterrows()]
    text += f"Least often: {', '.join(told)}." if told else ""
    return Finding("Stiff problems", text.strip(), "#stiff")


def cost(lines: pd.DataFrame) -> Finding | None:
    """What a gradient costs over its primal solve: the cheapest method of each family."""
    known = lines[lines["ratio"].gt(0)]
    if known.empty:
        return None
    medians = known.groupby(["family", "method"])["ratio"].median()
    told = []
    for family in FAMILIES:
        if family in medians.index.get_level_values("family"):
            mine = medians[family]
            told.append(f"{mine.idxmin()} {formats.amount(mine.min())} ({family})")
    text = (
        "One gradient over one primal solve, the median over problems of the cheapest method of "
        f"each family: {', '.join(told)}. Over all methods the median is "
        f"{formats.amount(medians.median())}, the largest {formats.amount(medians.max())}."
    )
    return Finding("Cost of a gradient", text, "#costs")


def training(epochs: pd.DataFrame) -> Finding | None:
    """What error regularisation did to the first training in which it was used."""
    for _, lines in summary_of(epochs).groupby(["task", "method"], sort=False):
        said = training_findings(lines)
        if said:
            task: Any = lines["task"].iloc[0]
            return Finding(f"Training {task}", " ".join(said[:1]), "#training")
    return None


def _problems(count: int, word: str = "problem") -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
