"""The section of a report about stiff problems: scaling, published times, what breaks, costs."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.ladder import typical_rtol
from ..tables.endings import NOT_ASKED, in_words, is_broken, is_right, is_unfinished, is_wrong
from ..tables.kinds import COSTS_SOURCE, KINDS, kind_of
from ..tables.ladders import Ladders
from ..tables.shown_table import Column, as_table, text
from ..tables.summary import failures, unfinished, wrong_answers
from .content import Part
from .published_scaling import published_scaling_parts
from .published_times import published_times_part
from .scaling import scaling_part


def stiff_parts(ladders: Ladders | None, sizes: pd.DataFrame, out: Path) -> list[Part]:
    """The parts of the section for which there is data.

    Parameters
    ----------
    ladders : Ladders or None
        Those of one machine and commit.
    sizes : DataFrame
        Its scaling study, as from :func:`~.scaling.scaling_table`; may be empty.
    out : Path
        The folder of the report: figures go into ``figures/`` there.
    """
    parts = [] if sizes.empty else [scaling_part(sizes, out), *published_scaling_parts(sizes)]
    if ladders is None:
        return parts
    if not ladders.stiff.empty:
        parts += [_breaks(ladders.stiff), _costs(ladders.stiff)]
    times = published_times_part(ladders)
    if times is not None and parts:
        parts.insert(0 if sizes.empty else 1, times)
    return parts


#: The columns of :func:`costs` that are no problems.
KNOWN = ("kind", "stability", "cost", "memory", "method", "family", "right")


def _breaks(stiff: pd.DataFrame) -> Part:
    return Part(
        heading="What breaks on stiff problems, and why",
        sentences=tuple(reasons(stiff)),
        groups=tuple((problem, tuple(sentences)) for problem, sentences in breakages(stiff)),
        note="Tolerances are relative. What was skipped, and why, is further down.",
    )


def _costs(stiff: pd.DataFrame) -> Part:
    lines = costs(stiff)
    problems = [name for name in lines.columns if name not in KNOWN]
    columns = (
        Column("method", "method"),
        Column("kind", "kind"),
        Column("stability", "said to be stable"),
        Column("right", "right here", formats.percent),
        Column("cost", "attributed cost"),
        Column("memory", "memory"),
        *(Column(problem, problem, text) for problem in problems),
    )
    return Part(
        heading="Attributed costs, and what was counted",
        table=as_table(lines, columns, stacks=True),
        note=(
            "n states, p parameters, K checkpoints. Right here: share of all tolerances of all "
            "stiff problems that gave the certified gradient to 10 %. Under each problem: "
            "Jacobians / linear solves of one gradient at the tolerance nearest to 1e-6, or the "
            f"status; a dash: not told. Attributed as in {COSTS_SOURCE}."
        ),
    )


def breakages(rows: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """For each stiff problem what was wrong though ``ok``, and what broke down, in sentences.

    Parameters
    ----------
    rows : DataFrame
        Those of stiff problems on one machine and commit.

    Returns
    -------
    list of (str, list of str)
        Problem and sentences; a problem where all went well says so.
    """
    told = []
    for problem, mine in rows.groupby("problem", sort=True):
        lies = wrong_answers(mine)
        sentences = [
            f"{line['method']} said ok at {line['at rtol']} and was wrong by more than 10 %: "
            f"its error came to {formats.error(line['worst_error'])}"
            f"{_error_bar(line['error_bar'])}."
            for _, line in lies.iterrows()
        ]
        for (method, status, phase), group in failures(mine).groupby(
            ["method", "status", "phase"], sort=False
        ):
            where = f" in the {phase} pass" if phase in ("forward", "reverse") else ""
            rtols = ", ".join(group["at rtol"])
            why = str(group["message"].iloc[0]).rstrip(".")
            reason = f": {why}" if why else ""
            sentences.append(f"{method} ended with {status}{where} at {rtols}{reason}.")
        sentences += [
            f"{line['method']} was {line['message'].rstrip('.')} at {line['at rtol']}."
            for _, line in unfinished(mine).iterrows()
        ]
        told.append((str(problem), sentences or [_all_well(mine)]))
    return told


def _error_bar(told: str) -> str:
    return "" if told == NOT_ASKED else f"; with an error bar: {told}"


def _all_well(rows: pd.DataFrame) -> str:
    count = rows["method"].nunique()
    if rows["referenced"].eq(True).all():
        return f"All {count} methods were right throughout."
    return (
        f"All {count} methods ended ok; without a certified reference nothing says whether they "
        "were right."
    )


def reasons(rows: pd.DataFrame) -> list[str]:
    """Why the kinds of methods broke that did break, each with how often."""
    why = rows["method"].map(lambda method: kind_of(method).breaks)
    said = []
    for reason in dict.fromkeys(kind.breaks for kind in KINDS.values() if kind.breaks):
        mine = rows[why.eq(reason)]
        lies, broke, late = (int(f(mine).sum()) for f in (is_wrong, is_broken, is_unfinished))
        if lies + broke:
            said.append(
                f"{', '.join(sorted(set(mine['method'])))}: of {len(mine)} stiff solves "
                f"{len(mine) - lies - broke - late} were right, {lies} said ok and were wrong, "
                f"{broke} broke down{f', {late} were not done in their time' if late else ''}. "
                f"{reason}"
            )
    return said


def costs(rows: pd.DataFrame) -> pd.DataFrame:
    """Attributed stability and cost beside what was measured on the stiff problems.

    Parameters
    ----------
    rows : DataFrame
        Those of stiff problems on one machine and commit.

    Returns
    -------
    DataFrame
        One line a measured method: ``kind``, ``stability``, ``cost``, ``memory`` (attributed),
        ``method``, ``family``, ``right`` (share of all tolerances of all stiff problems), and
        one column a problem with Jacobians and linear solves at the typical tolerance.
    """
    names = rows["method"].map(lambda method: getattr(kind_of(method).attributed, "name", ""))
    lines = []
    for kind in dict.fromkeys(kind.attributed for kind in KINDS.values() if kind.attributed):
        found = rows[names.eq(kind.name)]
        for method, mine in found.groupby("method", sort=False):
            judged = mine[mine["referenced"].eq(True) | is_broken(mine)]
            line = {
                "kind": kind.name,
                "stability": kind.stability,
                "cost": kind.cost,
                "memory": kind.memory,
                "method": method,
                "family": mine["family"].iloc[0],
                "right": is_right(judged).mean(),
            }
            for problem, ladder in mine.groupby("problem"):
                rtol = typical_rtol(ladder["rtol"])
                line[str(problem)] = _counts(ladder[ladder["rtol"].eq(rtol)].iloc[0])
            lines.append(line)
    # What is counted on other problems alone is not told; shares that are not known stay unknown.
    frame = pd.DataFrame(lines)
    return frame.fillna({name: "–" for name in frame.columns if name not in KNOWN})


def _counts(row: Any) -> str:
    """Jacobians and linear solves of one gradient, or its status where there is none."""
    if row["status"] != "ok":
        return in_words(row["status"])
    pair = (row["jacobian_evals"], row["linear_solves"])
    if all(pd.isna(count) for count in pair):
        return "–"
    return " / ".join(formats.amount(None if pd.isna(count) else count) for count in pair)
