"""Which method for which problem: problem classes against what matters, computed."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.equal_times import NOISE
from ...suite.measuring.errors import WRONG
from ...suite.measuring.formats import listed
from ...suite.measuring.ladder import is_right
from .frames import rows_of
from .races import race

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
        The best, and those within :data:`~adjointbench.reports.tables.noise.NOISE` of it.
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


def classes(rows: pd.DataFrame) -> dict[str, list[str]]:
    """The problems of each class, in the order :data:`ORDER`; only those with a reference."""
    found: dict[str, list[str]] = {name: [] for name in ORDER}
    for name, mine in rows[rows["referenced"].eq(True)].groupby("problem", sort=True):
        about = {
            "tags": _first(mine, "tags", ()),
            "stiff": bool(_first(mine, "stiff", False)),
            "n_states": _first(mine, "n_states", 0),
            "n_params": _first(mine, "n_params", 0),
        }
        found[class_of(about)].append(str(name))
    return {name: members for name, members in found.items() if members}


def _first(rows: pd.DataFrame, column: str, default: Any) -> Any:
    known = rows[column].dropna() if column in rows else ()
    return known.iloc[0] if len(known) else default


def least(values: Mapping[str, pd.Series]) -> Choice:
    """The method with the smallest geometric mean of its ratios to the best on each problem.

    Parameters
    ----------
    values : mapping of str to Series
        By problem, a positive figure of each method that has one there.

    Returns
    -------
    Choice
        Only a method that has a figure on every problem where any has one is chosen.
    """
    table = pd.DataFrame({name: series for name, series in values.items() if len(series)})
    if table.empty:
        return Choice(reason="no method gets there" if values else "none was measured")
    whole = table.dropna()
    if whole.empty:
        return Choice(reason=f"no method gets there on all {table.shape[1]} problems")
    means = np.exp(np.log(whole / table.min()).mean(axis=1)).sort_values()
    close = means[means <= NOISE * means.iloc[0]]
    return Choice(tuple(map(str, close.index)), float(means.iloc[0]), table.shape[1])


def most_right(rows: pd.DataFrame) -> Choice:
    """The method that is right at most tolerances of all problems of `rows`, tried on each."""
    tried = rows[rows["status"].ne("skipped")]
    right = tried.assign(right=[is_right(row) for row in rows_of(tried)])
    by_method = right.groupby("method", sort=True).agg(
        share=("right", "mean"), problems=("problem", "nunique")
    )
    whole = by_method[by_method["problems"].eq(rows["problem"].nunique())]
    if whole.empty or not whole["share"].max() > 0:
        return Choice(reason="no method was right")
    best = whole[whole["share"].eq(whole["share"].max())]
    return Choice(tuple(best.index), float(best["share"].iloc[0]), int(best["problems"].iloc[0]))


def decisions(rows: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """The decision table.

    Parameters
    ----------
    rows : DataFrame
        The rows of one machine and commit.
    lines : DataFrame
        Their :func:`~adjointbench.reports.tables.summary.summary`.

    Returns
    -------
    DataFrame
        One line a (class, what matters): ``class``, ``matters``, ``method`` (those that are tied
        between commas; a dash where there is none), ``value`` (its figure, or why there is no
        method), ``problems`` (on how many it rests) and ``members`` (the problems of the class).
    """
    told = []
    for name, members in classes(rows).items():
        mine = rows[rows["problem"].isin(members)]
        costs = lines[lines["problem"].isin(members)]
        for matters, (choice, write) in _criteria(mine, costs).items():
            told.append(
                {
                    "class": name,
                    "matters": matters,
                    "method": listed(choice.methods) if choice.methods else "–",
                    "value": write(choice) if choice.methods else choice.reason,
                    "problems": float(choice.problems) if choice.problems else np.nan,
                    "members": ", ".join(members),
                }
            )
    return pd.DataFrame(told)


def _criteria(
    rows: pd.DataFrame, lines: pd.DataFrame
) -> dict[str, tuple[Choice, Callable[[Choice], str]]]:
    """What matters, and who is best in it."""
    right = lines[lines["error"].lt(WRONG)]
    torch, peers = (rows[rows[c].eq(v)] for c, v in (("backend", "torch"), ("family", "peers")))
    return {
        "fastest at error 1e-3": (least(_times(rows, 1e-3)), _times_the_best),
        "fastest at error 1e-7": (least(_times(rows, 1e-7)), _times_the_best),
        "right at most tolerances": (most_right(rows), _share),
        "least memory kept": (least(_figures(right, "saved_bytes")), _times_the_best),
        "in PyTorch, at error 1e-3": (least(_times(torch, 1e-3)), _times_the_best),
        "an installed library alone, at error 1e-3": (
            least(_times(peers, 1e-3)),
            _times_the_best,
        ),
        "shortest first call": (least(_figures(right, "first_call_s")), _times_the_best),
    }


def _times(rows: pd.DataFrame, error: float) -> dict[str, pd.Series]:
    return {str(name): race(mine, error) for name, mine in rows.groupby("problem", sort=True)}


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
