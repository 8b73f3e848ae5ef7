"""The few findings that a reader wants first: computed sentences that lead to the evidence."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from typing import Any

import pandas as pd

from ...adjoints.methods.method import FAMILIES
from ...suite.measuring import formats
from ...suite.measuring.equal_times import NOISE
from ...suite.measuring.formats import count, listed, ranked, times
from ..tables.endings import is_right, is_unfinished, says_so
from ..tables.ladders import Ladders
from ..tables.races import ANY, ERRORS, OWN
from .content import Finding
from .peers import in_words, losses
from .training import findings as training_findings

#: The gradient error at which times are compared here: one of those of the races.
ERROR = ERRORS[1]

#: How many findings the summary holds at most.
MOST = 5


def findings(
    ladders: Ladders | None, raced: pd.DataFrame | None, ratios: pd.DataFrame
) -> list[Finding]:
    """At most :data:`MOST` findings, those for which there is data.

    Parameters
    ----------
    ladders : Ladders or None
        Those of one machine and commit.
    raced : DataFrame or None
        Their :func:`~adjointbench.reports.tables.races.races` against the peers.
    ratios : DataFrame
        Of all trainings to those with no regulariser; may be empty.
    """
    found = [training(ratios)] if not ratios.empty else []
    if ladders is not None:
        about = [wrong(ladders), stiff(ladders), *found, cost(ladders.lines)]
        found = [fastest(ladders), peers(raced), *about]
    return [finding for finding in found if finding is not None][:MOST]


def fastest(ladders: Ladders) -> Finding | None:
    """Which of the methods that may be trusted is the fastest at equal error, and how often."""
    everyone = [ladders.ranking(problem, ERROR) for problem in ladders.judged]
    everyone = [ranking for ranking in everyone if len(ranking) > 1]
    rankings = [ranking.among(ladders.trusted) for ranking in everyone]
    winners = pd.Series([name for ranking in rankings for name in ranking.tied]).value_counts()
    if winners.empty:
        return None
    text = (
        f"At a gradient error of {formats.power(ERROR)} on {count(len(rankings), 'problem')} the "
        f"fastest, or as fast within a factor of {NOISE:g}: {ranked(winners, times)}."
    )
    ahead = [name for ranking in everyone for name in ranking.tied if name not in ladders.trusted]
    if ahead:
        text += (
            f" As fast or faster, and not recommended, as their ok may be wrong: "
            f"{ranked(pd.Series(ahead).value_counts(), times)}."
        )
    return Finding("Fastest at equal error", text, "#summary")


def peers(raced: pd.DataFrame | None) -> Finding | None:
    """How the races against the peers ended: those against our best, and on their own backend."""
    if raced is None or raced.empty:
        return None
    at = ", ".join(map(formats.power, ERRORS))
    text = (
        f"Each peer on each problem, at errors {at}, against our best of any backend: "
        f"{in_words(raced, ANY)}.{_lost(raced, ANY)} Against our best of the peer's own backend: "
        f"{in_words(raced, OWN)}.{_lost(raced, OWN)} Ratios are the peer's time over ours, the "
        "median and the range."
    )
    return Finding("Against the peers", text, "#peers")


def _lost(raced: pd.DataFrame, side: str) -> str:
    """To whom races were lost, the most often first; a loss is told as plainly as a win."""
    lost = raced.loc[losses(raced, side), "peer"].value_counts()
    return f" Lost most often to {ranked(lost, times)}." if len(lost) else ""


def wrong(ladders: Ladders) -> Finding | None:
    """What says ``ok`` and is wrong: how many of how many, and by which methods."""
    rows = ladders.rows
    judged = rows[rows["status"].eq("ok") & rows["referenced"].eq(True)]
    if judged.empty:
        return None
    lies = judged[ladders.wrong[judged.index]]
    if lies.empty:
        text = f"None of {count(len(judged), 'gradient')} that ended ok was off by more than 10 %."
        return Finding("Ok, and wrong", text, "#map")
    by_method = lies["method"].value_counts()
    text = (
        f"{len(lies)} of {count(len(judged), 'gradient')} that ended ok "
        f"{'was' if len(lies) == 1 else 'were'} off by more than 10 %, by "
        f"{count(by_method.size, 'method')} on {count(lies['problem'].nunique(), 'problem')}. "
        f"Most often: {ranked(by_method, times)}."
    )
    asked = lies[lies["error_bar_status"].notna()]
    if len(asked):
        text += (
            f" Of the {len(asked)} that were asked for an error bar {says_so(asked).sum()} "
            "say so themselves."
        )
    return Finding("Ok, and wrong", text, "#wrong")


def stiff(ladders: Ladders) -> Finding | None:
    """Which methods break on stiff problems, and which do not."""
    tried = ladders.stiff
    tried = tried[tried["referenced"].eq(True) | tried["status"].ne("ok")]
    late = is_unfinished(tried)
    done = tried[~late]
    if done.empty:
        return None
    right = is_right(done)
    by_method = right.groupby(done["method"]).agg(["sum", "size"])
    by_method["share"] = by_method["sum"] / by_method["size"]
    whole = by_method.index[by_method["share"].eq(1)].difference(tried.loc[late, "method"])
    text = (
        f"On {count(done['problem'].nunique(), 'stiff problem')} "
        f"{formats.percent(right.mean())} of {count(len(done), 'gradient')} were right. "
    )
    text += f"Right throughout: {listed(whole)}. " if len(whole) else "None was right throughout. "
    worst = by_method[by_method["share"].lt(1)].sort_values("share", kind="stable")["share"]
    text += f"Least often: {ranked(worst, formats.percent)}. " if len(worst) else ""
    text += f"Not done in their time: {late.sum()} more." if late.any() else ""
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
