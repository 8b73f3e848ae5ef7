"""The few findings that a reader wants first: computed sentences that lead to the evidence."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from statistics import median
from typing import Any

import pandas as pd

from ...adjoints.methods.method import FAMILIES, PEERS
from ...suite.measuring import formats
from ...suite.measuring.equal_times import NOISE, Ranking, outcome
from ...suite.measuring.formats import listed
from ..tables.ladders import Ladders, is_right
from .content import Finding
from .training import findings as training_findings

#: The gradient error at which times are compared here.
ERROR = 1e-4

#: How many findings the summary holds at most.
MOST = 4


def findings(ladders: Ladders | None, ratios: pd.DataFrame) -> list[Finding]:
    """At most :data:`MOST` findings, those for which there is data.

    Parameters
    ----------
    ladders : Ladders or None
        Those of one machine and commit.
    ratios : DataFrame
        Of all trainings to those with no regulariser; may be empty.
    """
    found = [training(ratios)] if not ratios.empty else []
    if ladders is not None:
        found = [fastest(ladders), wrong(ladders), stiff(ladders), *found, cost(ladders.lines)]
    return [finding for finding in found if finding is not None][:MOST]


def fastest(ladders: Ladders) -> Finding | None:
    """Who is fastest at equal error on how many problems, and by how much against the best peer."""
    rankings = [ladders.ranking(problem, ERROR) for problem in ladders.judged]
    rankings = [ranking for ranking in rankings if len(ranking) > 1]
    if not rankings:
        return None
    winners = pd.Series([name for ranking in rankings for name in ranking.tied]).value_counts()
    said = [
        f"At a gradient error of {formats.power(ERROR)}, {winners.index[0]} is the fastest, or as "
        f"fast within a factor of {NOISE:g}, on {winners.iloc[0]} of {_problems(len(rankings))}"
    ]
    ratios = [_peer_over_ours(ranking, ladders.families) for ranking in rankings]
    if known := [ratio for ratio in ratios if ratio is not None]:
        said.append(_against_peers(known))
    others = [f"{name} on {count}" for name, count in winners.iloc[1:4].items()]
    if others:
        said[0] += f" ({', '.join(others)})"
    return Finding("Fastest at equal error", ". ".join(said) + ".", "#peers")


def _peer_over_ours(ranking: Ranking, family: dict[str, str]) -> float | None:
    """Seconds of the best peer over those of our best method; ``None`` where either is missing."""
    peers = ranking.among(name for name in ranking.seconds if family[name] == PEERS)
    ours = ranking.among(ranking.seconds.keys() - peers.seconds.keys())
    return peers.best / ours.best if len(peers) and len(ours) else None


def _against_peers(ratios: list[float]) -> str:
    ends = [outcome(ratio) for ratio in ratios]
    return (
        f"Against the best peer on each of {_problems(len(ratios))} where both get there, the best "
        f"method here is faster on {ends.count('won')}, slower on {ends.count('lost')} and equal "
        f"on {ends.count('equal')}; the peer's time over ours has the median "
        f"{formats.amount(median(ratios))}, from {formats.amount(min(ratios))} to "
        f"{formats.amount(max(ratios))}"
    )


def wrong(ladders: Ladders) -> Finding | None:
    """What says ``ok`` and is wrong: how many of how many, and by which methods."""
    rows = ladders.rows
    judged = rows[rows["status"].eq("ok") & rows["referenced"].eq(True)]
    if judged.empty:
        return None
    lies = judged[ladders.wrong[judged.index]]
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


def stiff(ladders: Ladders) -> Finding | None:
    """Which methods break on stiff problems, and which do not."""
    tried = ladders.stiff
    tried = tried[tried["referenced"].eq(True) | tried["status"].ne("ok")]
    if tried.empty:
        return None
    right = is_right(tried)
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


def training(ratios: pd.DataFrame) -> Finding | None:
    """What error regularisation did to the first training in which it was used."""
    for _, lines in ratios.groupby(["task", "method"], sort=False):
        said = training_findings(lines)
        if said:
            task: Any = lines["task"].iloc[0]
            return Finding(f"Training {task}", " ".join(said[:1]), "#training")
    return None


def _problems(count: int, word: str = "problem") -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
