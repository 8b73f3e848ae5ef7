"""The gradients that methods give on problems of the zoo, and how far they are from the truth."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ...adjoints.gradient import prepare
from ...adjoints.methods import get_method
from ...adjoints.result import GradientResult
from ...problems import Problem
from ..measuring.error_bars import told_by_error_bar
from ..measuring.measure import ATOL_SCALE, with_errors
from ..measuring.names import get_problem
from ..measuring.row import Row


@functools.cache
def problem_of(name: str) -> Problem:
    """The problem of this name, the same object each time: programs are compiled for it once."""
    return get_problem(name)


def zoo_gradients(
    problem: str, method: str, rtols: Sequence[float], **settings: Any
) -> Iterator[tuple[Row, GradientResult | None]]:
    """How a method ends at each tolerance, its error, and its result where it does not refuse.

    The row holds no more than that, and what an error bar says where one is asked for; errors are
    there where it ended well, and the truth is known.
    """
    found = problem_of(problem)
    family = get_method(method).family
    for rtol in rtols:
        row = Row(problem=problem, method=method, family=family, rtol=rtol, status="skipped")
        tolerances: dict[str, Any] = {"rtol": rtol, "atol": rtol * ATOL_SCALE} | settings
        try:
            result = prepare(found, method, **tolerances)()
        except ValueError:
            yield row, None
            continue
        row = replace(row, status=result.status, **told_by_error_bar(result))
        if row.error_bar_status == "inaccurate":
            row = replace(row, status="ok")  # as without an error bar
        if row.status == "ok" and found.reference is not None:
            row = with_errors(row, found.reference, result, found.params)
        yield row, result


def zoo_rows(problem: str, method: str, rtols: Sequence[float], **settings: Any) -> list[Row]:
    """The rows of :func:`zoo_gradients`."""
    return [row for row, _ in zoo_gradients(problem, method, rtols, **settings)]


def shown(row: Row, *names: str) -> dict[str, Any]:
    """What a table shows of a row."""
    names = names or ("problem", "method", "rtol", "status", "error")
    return {name: getattr(row, name) for name in names}
