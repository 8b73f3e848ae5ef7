"""What methods answer on problems of the zoo, and how far that is from the truth."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from ...adjoints.gradient import prepare
from ...problems import Problem
from ..measuring.errors import gradient_errors
from ..measuring.measure import ATOL_SCALE
from ..measuring.names import get_problem

Line = dict[str, Any]


@functools.cache
def problem_of(name: str) -> Problem:
    """The problem of this name, the same object each time: programs are compiled for it once."""
    return get_problem(name)


def answers(problem: str, method: str, rtols: Sequence[float], **settings: Any) -> Iterator[Line]:
    """How a method ends at each tolerance, and its error where the truth is known.

    Yields
    ------
    dict
        ``status``, ``phase`` and, where it ended well, ``error``; and ``dparams``. A refusal is
        ``"skipped"``.
    """
    found = problem_of(problem)
    for rtol in rtols:
        line: Line = {"problem": problem, "method": method, "rtol": rtol}
        tolerances: dict[str, Any] = {"rtol": rtol, "atol": rtol * ATOL_SCALE} | settings
        try:
            result = prepare(found, method, **tolerances)()
        except ValueError as refusal:
            yield line | {"status": "skipped", "error": None, "message": str(refusal)}
            continue
        error = None
        if result.status == "ok" and found.reference is not None:
            error = gradient_errors(result.dparams, found.reference.dparams, found.params)["error"]
        yield line | {
            "status": result.status,
            "phase": result.phase,
            "error": error,
            "dparams": result.dparams,
        }


def shown(line: Line) -> Line:
    """A line without what no table shows."""
    return {k: v for k, v in line.items() if k in ("problem", "method", "rtol", "status", "error")}
