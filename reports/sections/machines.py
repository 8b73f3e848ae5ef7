"""The part of a report about several machines: where their verdicts agree, and where not."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from ...suite.claims.claim import judge_row
from ...suite.claims.table import claim_of
from ...suite.measuring import formats
from ...suite.measuring.row import ClaimRow, from_record
from ..tables.ladders import Ladders
from ..tables.machines import of_all, of_several
from ..tables.shown_table import Column, as_table
from .content import Part, Verdict
from .verdicts import verdicts

_HEADING = "Where machines agree"

_JOINED = (
    "Errors, statuses and counts of all of them are joined on this page. Times are compared within "
    "one machine only: each problem has those of one machine, and what another has measured of it "
    "is shown without a time."
)

_NOTE = (
    "Of what several machines have measured of the same code: methods that all of them have, on "
    "the problem named. What differs comes first."
)

#: What is compared of a verdict on a problem: how it is called, and its text.
_ASPECTS = {
    "most accurate": lambda verdict: verdict.accurate,
    "right on the whole ladder": lambda verdict: verdict.stable,
    "fastest at equal error": lambda verdict: verdict.fast,
    "says ok and is wrong": lambda verdict: ", ".join(verdict.wrong) or "none",
    "broke down": lambda verdict: ", ".join(verdict.broken) or "none",
}


class _Said(NamedTuple):
    """What one machine says to one question."""

    about: str
    question: str
    machine: str
    answer: str


def machines_parts(
    rows: pd.DataFrame, claims: pd.DataFrame, shown: pd.DataFrame | None = None
) -> list[Part]:
    """The part about several machines; none where there is one only.

    Parameters
    ----------
    rows : DataFrame
        Of ladders, of one code and all machines, as
        :func:`~adjointbench.reports.tables.ladders.name_devices` names them; may be empty.
    claims : DataFrame
        Those of claims; may be empty.
    shown : DataFrame, optional
        What :func:`~adjointbench.reports.tables.machines.joined` has made of the rows.
    """
    names = sorted({str(m) for table in (rows, claims) if len(table) for m in table["machine"]})
    if len(names) < 2:
        return []
    said = pd.DataFrame([*_of_ladders(rows), *_of_claims(claims)], columns=_Said._fields)
    if said.empty:
        told = (_measured(rows, claims, names), _JOINED, *_split(shown))
        return [Part(heading=_HEADING, sentences=told)]
    wide = said.pivot_table(
        index=["about", "question"], columns="machine", values="answer", aggfunc="first", sort=False
    ).reset_index()
    named = [name for name in names if name in wide]
    wide = wide.fillna(formats.NONE)
    differ = wide[named].apply(lambda line: len(set(line) - {formats.NONE}) > 1, axis=1)
    wide = wide.assign(agree=differ.map({True: "no", False: "yes"}))
    wide = wide.iloc[(~differ).argsort(kind="stable")]
    columns = (
        Column("about", "about"),
        Column("question", "verdict"),
        Column("agree", "agree"),
        *(Column(name, name) for name in named),
    )
    sentences = (
        _measured(rows, claims, names),
        f"Of {formats.count(len(wide), 'verdict')} that several machines have given, "
        f"{len(wide) - int(differ.sum())} agree and {int(differ.sum())} differ.",
        _JOINED,
        *_split(shown),
    )
    table = as_table(wide, columns, stacks=True)
    return [Part(heading=_HEADING, sentences=sentences, table=table, note=_NOTE)]


def _measured(rows: pd.DataFrame, claims: pd.DataFrame, names: list[str]) -> str:
    """Who has measured how much, in a sentence."""
    told = []
    for name in names:
        problems, numbers = (
            table.loc[table["machine"].eq(name), column].nunique() if len(table) else 0
            for table, column in ((rows, "problem"), (claims, "number"))
        )
        parts = [(problems, "problem"), (numbers, "claim")]
        counts = " and ".join(formats.count(n, word) for n, word in parts if n)
        told.append(f"{name} has measured {counts}")
    return f"{'; '.join(told)}."


def _split(shown: pd.DataFrame | None) -> Iterator[str]:
    """Which methods are shown without a time, as they ran elsewhere than the rest."""
    if shown is None:
        return
    for problem, mine in of_several(shown, "problem").groupby("problem", sort=True):
        timed = mine.groupby("machine")["seconds"].transform("count").gt(0)
        for name, others in mine[~timed].groupby("machine", sort=True):
            methods = formats.listed(list(dict.fromkeys(others["method"])))
            yield f"{problem}: {methods} of {name}, without times."


def _of_ladders(rows: pd.DataFrame) -> Iterator[_Said]:
    """The verdicts of each machine on what more than one has measured."""
    if rows.empty:
        return
    shared = of_all(rows)
    for name, mine in shared.groupby("machine", sort=True):
        for verdict in verdicts(Ladders(mine.reset_index(drop=True))):
            yield from _answers(verdict, str(name))


def _answers(verdict: Verdict, machine: str) -> Iterator[_Said]:
    for question, answer in _ASPECTS.items():
        yield _Said(verdict.problem, question, machine, answer(verdict))


def _of_claims(claims: pd.DataFrame) -> Iterator[_Said]:
    if claims.empty:
        return
    for record in of_several(claims, "number").to_dict("records"):
        claim = claim_of(record["number"])
        word = judge_row(claim, from_record(ClaimRow, record)).word
        yield _Said(claim.name, claim.sentence, str(record["machine"]), word)
