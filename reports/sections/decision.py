"""The section of a report that says which method when: problem classes against what matters."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...adjoints.methods.method import PEERS
from ...suite.measuring import formats
from ...suite.measuring.equal_times import NOISE, rank
from ...suite.measuring.errors import WRONG
from ..tables.ladders import Ladders, is_right
from ..tables.shown_table import Column, as_table
from .content import Part

#: From so many states or parameters on a problem is large, or has many parameters.
MANY = 50

#: Classes of problems in the order in which a problem is put into one: the first that fits.
CLASSES: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "trap for adaptive steps": lambda p: "trap" in p["tags"],
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
    """

    methods: tuple[str, ...] = ()
    value: float = np.nan
    problems: int = 0
    reason: str = ""


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


def least(values: Mapping[str, Mapping[str, float] | pd.Series]) -> Choice:
    """The method with the smallest geometric mean of its ratios to the best on each problem.

    Parameters
    ----------
    values : mapping of str to mapping
        By problem, a positive figure of each method that has one there.

    Returns
    -------
    Choice
        Only a method that has a figure on every problem where any has one is chosen.
    """
    table = pd.DataFrame({name: pd.Series(mine) for name, mine in values.items() if len(mine)})
    if table.empty:
        return Choice(reason="no method gets there" if values else "none was measured")
    whole = table.dropna()
    if whole.empty:
        return Choice(reason=f"no method gets there on all {table.shape[1]} problems")
    means = rank(np.exp(np.log(whole / table.min()).mean(axis=1)).to_dict())
    return Choice(means.tied, float(means.best), table.shape[1])


def most_right(rows: pd.DataFrame) -> Choice:
    """The method that is right at most tolerances of all problems of `rows`, tried on each."""
    tried = rows[rows["status"].ne("skipped")]
    by_method = (
        tried.assign(right=is_right(tried))
        .groupby("method", sort=True)
        .agg(share=("right", "mean"), problems=("problem", "nunique"))
    )
    whole = by_method[by_method["problems"].eq(rows["problem"].nunique())]
    if whole.empty or not whole["share"].max() > 0:
        return Choice(reason="no method was right")
    best = whole[whole["share"].eq(whole["share"].max())]
    return Choice(tuple(best.index), float(best["share"].iloc[0]), int(best["problems"].iloc[0]))


def decisions(ladders: Ladders) -> pd.DataFrame:
    """The decision table.

    Returns
    -------
    DataFrame
        One line a (class, what matters): ``class``, ``matters``, ``method`` (those that are tied
        between commas; a dash where there is none), ``value`` (its figure, or why there is no
        method), ``problems`` (on how many it rests) and ``members`` (the problems of the class).
    """
    told = []
    for name, members in classes(ladders).items():
        for matters, (choice, write) in _criteria(ladders, members).items():
            told.append(
                {
                    "class": name,
                    "matters": matters,
                    "method": formats.listed(choice.methods) if choice.methods else "–",
                    "value": write(choice) if choice.methods else choice.reason,
                    "problems": float(choice.problems) if choice.problems else np.nan,
                    "members": ", ".join(members),
                }
            )
    return pd.DataFrame(told)


def _criteria(
    ladders: Ladders, members: Sequence[str]
) -> dict[str, tuple[Choice, Callable[[Choice], str]]]:
    """What matters, and who is best in it on the problems of a class."""
    rows = ladders.rows[ladders.rows["problem"].isin(members)]
    lines = ladders.lines[ladders.lines["problem"].isin(members)]
    right = lines[lines["error"].lt(WRONG)]
    torch, peers = (rows[rows[c].eq(v)] for c, v in (("backend", "torch"), ("family", PEERS)))

    def fastest(of: pd.DataFrame, error: float) -> Choice:
        names, there = set(of["method"]), sorted(set(of["problem"]))
        return least({p: ladders.ranking(p, error).among(names).seconds for p in there})

    return {
        "fastest at error 1e-3": (fastest(rows, 1e-3), _times_the_best),
        "fastest at error 1e-7": (fastest(rows, 1e-7), _times_the_best),
        "right at most tolerances": (most_right(rows), _share),
        "least memory kept": (least(_figures(right, "saved_bytes")), _times_the_best),
        "in PyTorch, at error 1e-3": (fastest(torch, 1e-3), _times_the_best),
        "an installed library alone, at error 1e-3": (fastest(peers, 1e-3), _times_the_best),
        "shortest first call": (least(_figures(right, "first_call_s")), _times_the_best),
    }


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
    if found.empty:
        return []
    found.to_csv(out / "decisions.csv", index=False)
    note = (
        "Among the methods that were measured here; one is named only if it gets there on every "
        "problem of the class where any does. Fastest, least and shortest: the smallest geometric "
        "mean of the ratio to the best on each problem (1 × is the best everywhere); methods "
        f"within {NOISE:g} of it are tied. Memory and first call: at the typical tolerance, of "
        "gradients that are right. As lines, with their figures: decisions.csv."
    )
    matters = list(dict.fromkeys(found["matters"]))
    columns = (Column("class", "problems"), *(Column(name, name) for name in matters))
    shown = as_table(_matrix(found), columns, stacks=True)
    return [Part("Which method when", table=shown, note=note)]


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
    return f"{line['method']} ({line['value']}{on})"
