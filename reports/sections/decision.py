"""The section of a report that says which method when: problem classes against what matters."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...adjoints.methods.method import PEERS
from ...suite.measuring import formats
from ...suite.measuring.equal_times import NOISE, rank
from ...suite.measuring.errors import WRONG
from ..tables.endings import is_right, is_tried, is_unfinished
from ..tables.kinds import STATE_BACKWARDS
from ..tables.ladders import Ladders
from ..tables.shown_table import Column, as_table
from .content import Part

#: From so many states or parameters on a problem is large, or has many parameters.
MANY = 50

#: One problem is no class: from fewer than these there is no advice.
FEWEST = 2

#: Classes of problems in the order in which a problem is put into one: the first that fits.
CLASSES: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "trap for adaptive steps": lambda p: "trap" in p["tags"],
    "algebraic equations": lambda p: "dae" in p["tags"],
    "events or moving times": lambda p: not {"events", "switching"}.isdisjoint(p["tags"]),
    "neural, many parameters": lambda p: "neural" in p["tags"] or p["n_params"] > 10 * MANY,
    "stiff, large (PDE)": lambda p: p["stiff"] and _large(p),
    "stiff, small": lambda p: p["stiff"],
    "not stiff, large (PDE)": lambda p: _large(p),
    "chaotic": lambda p: "chaotic" in p["tags"],
    "small, smooth or oscillatory": lambda p: True,
}

#: Where the classes are shown.
ORDER = (
    "small, smooth or oscillatory",
    "chaotic",
    "stiff, small",
    "stiff, large (PDE)",
    "not stiff, large (PDE)",
    "neural, many parameters",
    "events or moving times",
    "algebraic equations",
    "trap for adaptive steps",
)


def _large(problem: Mapping[str, Any]) -> bool:
    return "pde" in problem["tags"] or problem["n_states"] > MANY


@dataclass(frozen=True)
class Choice:
    """A method for a class of problems.

    Attributes
    ----------
    methods : tuple of str
        The best, and those that are as good within
        :data:`~adjointbench.suite.measuring.equal_times.NOISE`.
    value : float
        What the best is judged by.
    problems : int
        On how many problems it rests.
    reason : str
        Why there is none, where there is none.
    ahead : tuple of str
        Methods that are better and are not recommended, as they may be wrong and say ``ok``.
    """

    methods: tuple[str, ...] = ()
    value: float = np.nan
    problems: int = 0
    reason: str = ""
    ahead: tuple[str, ...] = ()


def class_of(problem: Mapping[str, Any]) -> str:
    """The class of a problem with ``tags``, ``stiff``, ``n_states`` and ``n_params``."""
    return next(name for name, fits in CLASSES.items() if fits(problem))


def classes(ladders: Ladders) -> dict[str, list[str]]:
    """The problems of each class, in the order :data:`ORDER`; only those with a reference."""
    found: dict[str, list[str]] = {name: [] for name in ORDER}
    for name in ladders.judged:
        mine = ladders.by_problem[name]
        mine = mine[mine["referenced"].eq(True)]
        about = {
            "tags": _first(mine, "tags", ()),
            "stiff": bool(_first(mine, "stiff", False)),
            "n_states": _first(mine, "n_states", 0),
            "n_params": _first(mine, "n_params", 0),
        }
        found[class_of(about)].append(name)
    return {name: members for name, members in found.items() if members}


def _first(rows: pd.DataFrame, column: str, default: Any) -> Any:
    known = rows[column].dropna() if column in rows else ()
    return known.iloc[0] if len(known) else default


def least(values: Mapping[str, Mapping[str, float] | pd.Series], trusted: Container[str]) -> Choice:
    """The method with the smallest geometric mean of its ratios to the best on each problem.

    Parameters
    ----------
    values : mapping of str to mapping
        By problem, a positive figure of each method that has one there.
    trusted : container of str
        The methods that may be chosen; others may be ahead of them.

    Returns
    -------
    Choice
        Only a method that has a figure on every problem where any has one is chosen.
    """
    table = pd.DataFrame({name: pd.Series(mine) for name, mine in values.items() if len(mine)})
    known = table.index.map(lambda name: name in trusted).to_numpy(bool)
    table = table.loc[:, table[known].notna().any()]
    if table.empty:
        return Choice(reason="no method gets there" if values else "none was measured")
    if table.shape[1] < FEWEST:
        return Choice(reason=f"only on {table.columns[0]}, and one problem is no class")
    means = np.exp(np.log(table / table[known].min()).mean(axis=1, skipna=False)).dropna()
    best = rank({name: mean for name, mean in means.items() if name in trusted})
    if not len(best):
        return Choice(reason=f"no method gets there on all {table.shape[1]} problems")
    ahead = [name for name in means.sort_values().index if means[name] * NOISE < best.best]
    return Choice(best.tied, float(best.best), table.shape[1], ahead=tuple(ahead))


def most_right(rows: pd.DataFrame, trusted: Container[str]) -> Choice:
    """The method that is right at most tolerances of all problems of `rows`, tried on each."""
    tried = rows[is_tried(rows)]
    by_method = (
        tried.assign(right=is_right(tried))
        .groupby("method", sort=True)
        .agg(share=("right", "mean"), problems=("problem", "nunique"))
    )
    known = by_method.index.map(lambda name: name in trusted).to_numpy(bool)
    whole = by_method["problems"].eq(rows["problem"].nunique())
    best = by_method.loc[whole & known, "share"]
    if best.empty or not best.max() > 0:
        return Choice(reason="no method was right")
    ahead = by_method.index[whole & by_method["share"].gt(best.max())]
    names = best.index[best.eq(best.max())]
    return Choice(tuple(names), float(best.max()), rows["problem"].nunique(), ahead=tuple(ahead))


def decisions(ladders: Ladders) -> pd.DataFrame:
    """The decision table.

    Returns
    -------
    DataFrame
        One line a (class, what matters): ``class``, ``matters``, ``method`` (those that are tied
        between commas; a dash where there is none), ``value`` (its figure, or why there is no
        method), ``problems`` (on how many it rests), ``ahead`` (better, and not recommended) and
        ``members`` (the problems of the class, at least :data:`FEWEST`).
    """
    told = []
    for name, members in classes(ladders).items():
        if len(members) < FEWEST:
            continue
        for matters, (choice, write) in _criteria(ladders, members).items():
            told.append(
                {
                    "class": name,
                    "matters": matters,
                    "method": formats.listed(choice.methods) if choice.methods else "–",
                    "value": write(choice) if choice.methods else choice.reason,
                    "problems": float(choice.problems) if choice.problems else np.nan,
                    "ahead": formats.listed(choice.ahead),
                    "members": ", ".join(members),
                }
            )
    return pd.DataFrame(told)


def _criteria(
    ladders: Ladders, members: Sequence[str]
) -> dict[str, tuple[Choice, Callable[[Choice], str]]]:
    """What matters, and who is best in it on the problems of a class."""
    rows, trusted = ladders.rows[ladders.rows["problem"].isin(members)], ladders.trusted
    lines = ladders.lines[ladders.lines["problem"].isin(members)]
    right = lines[lines["error"].lt(WRONG)]
    torch, peers = (rows[rows[c].eq(v)] for c, v in (("backend", "torch"), ("family", PEERS)))

    def fastest(of: pd.DataFrame, error: float) -> Choice:
        names, there = set(of["method"]), sorted(set(of["problem"]))
        times = {p: ladders.ranking(p, error).among(names).seconds for p in there}
        choice = least(times, trusted)
        late = not choice.methods and is_unfinished(of).any()
        return replace(choice, reason=f"{choice.reason}, {_LATE}") if late else choice

    def smallest(column: str) -> Choice:
        return least(_figures(right, column), trusted)

    return {
        "fastest at error 1e-3": (fastest(rows, 1e-3), _times_the_best),
        "fastest at error 1e-7": (fastest(rows, 1e-7), _times_the_best),
        "right at most tolerances": (most_right(rows, trusted), _share),
        "least memory kept": (smallest("saved_bytes"), _times_the_best),
        "in PyTorch, at error 1e-3": (fastest(torch, 1e-3), _times_the_best),
        "an installed library alone, at error 1e-3": (fastest(peers, 1e-3), _times_the_best),
        "shortest first call": (smallest("first_call_s"), _times_the_best),
    }


#: Said where nobody gets there and somebody's time was up.
_LATE = "some were not done in their time"


def _figures(lines: pd.DataFrame, column: str) -> dict[str, pd.Series]:
    known = lines[lines[column].gt(0)]
    return {
        str(name): mine.set_index("method")[column]
        for name, mine in known.groupby("problem", sort=True)
    }


def _times_the_best(choice: Choice) -> str:
    return f"{formats.slope(choice.value)}\N{NO-BREAK SPACE}×"


def _share(choice: Choice) -> str:
    return formats.percent(choice.value)


def decision_parts(ladders: Ladders, out: Path) -> list[Part]:
    """The part with the decision table, which is also written to ``decisions.csv`` in `out`."""
    found = decisions(ladders)
    lone = [f"{name} ({', '.join(m)})" for name, m in classes(ladders).items() if len(m) < FEWEST]
    said = [f"No advice from one problem alone: {'; '.join(lone)}."] if lone else []
    if found.empty:
        return [Part("Which method when", tuple(said))] if said else []
    found.to_csv(out / "decisions.csv", index=False)
    matters = list(dict.fromkeys(found["matters"]))
    columns = (Column("class", "problems"), *(Column(name, name) for name in matters))
    shown = as_table(_matrix(found), columns, stacks=True)
    return [Part("Which method when", tuple(said), table=shown, note=_NOTE)]


_NOTE = (
    "Among the methods that were measured here; one is named only if it gets there on every "
    "problem of the class where any does. Fastest, least and shortest: the smallest geometric mean "
    "of the ratio to the best on each problem (1 × is the best everywhere); methods within "
    f"{NOISE:g} of it are tied. Memory and first call: at the typical tolerance, of gradients that "
    f"are right. Ahead, not recommended: better here, but {STATE_BACKWARDS[0].lower()}"
    f"{STATE_BACKWARDS[1:]} As lines, with their figures: decisions.csv."
)


def _matrix(found: pd.DataFrame) -> pd.DataFrame:
    """One line a class, one column a thing that matters."""
    lines = []
    for name, mine in found.groupby("class", sort=False):
        members = mine["members"].iloc[0]
        cells = {line["matters"]: _cell(line, members) for line in mine.to_dict("records")}
        lines.append({"class": f"{name}: {members}"} | cells)
    return pd.DataFrame(lines)


def _cell(line: dict[str, Any], members: str) -> str:
    if pd.isna(line["problems"]):
        return f"– {line['value']}"
    count = len(members.split(", "))
    on = "" if line["problems"] == count else f", on {line['problems']:.0f} of {count}"
    ahead = f"; ahead, not recommended: {line['ahead']}" if line["ahead"] else ""
    return f"{line['method']} ({line['value']}{on}){ahead}"
