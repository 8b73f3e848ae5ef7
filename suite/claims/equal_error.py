"""Races at equal gradient error, on problems that a claim makes for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...adjoints.gradient import prepare
from ...problems import Problem
from ...problems.reference import Reference
from ..measuring.equal_times import NOISE
from ..measuring.errors import as_reference, errors_against
from ..measuring.ladder import seconds_at_error
from ..measuring.measure import ATOL_SCALE
from ..measuring.row import Row
from ..measuring.timing import Silence, time_run
from .claim import Limit

#: Seconds of repeated calls behind each time.
BUDGET_S = 0.2

#: Between which times are equal, as a threshold of claims.
FASTER = Limit(NOISE, "times as fast, from which it is faster: less is noise")


def truth_of(problem: Problem, methods: tuple[str, str], rtol: float) -> Reference:
    """The gradient of the first of two methods at a tight tolerance; how far the second is off.

    Raises
    ------
    RuntimeError
        Where one of them breaks down.
    """
    found = [prepare(problem, m, rtol=rtol, atol=rtol * ATOL_SCALE)() for m in methods]
    if broken := [result.message for result in found if result.status != "ok"]:
        raise RuntimeError(f"there is no truth of {problem.name}: {broken[0]}")
    first, second = found
    truth = as_reference(problem, first)
    return replace(truth, agreement=errors_against(truth, second, problem.params)["error"])


def ladders(
    problem: Problem,
    methods: Sequence[str],
    rtols: Sequence[float],
    truth: Reference,
    silence: Silence,
) -> dict[str, list[Row]]:
    """The ladder of each method: how it ended, its errors and the time of a gradient."""
    return {
        method: [_row(problem, method, rtol, truth, silence) for rtol in rtols]
        for method in methods
    }


def _row(problem: Problem, method: str, rtol: float, truth: Reference, silence: Silence) -> Row:
    run = prepare(problem, method, rtol=rtol, atol=rtol * ATOL_SCALE)
    result = run()
    row = Row(problem=problem.name, method=method, rtol=rtol, status=result.status)
    if result.status != "ok":
        return row
    errors = errors_against(truth, result, problem.params)
    # The primal solve is compiled when it is first asked for, which would be here.
    seconds = time_run(run, BUDGET_S, silence, primal=False)["seconds"]
    return replace(row, error=errors["error"], loss_error=errors["loss_error"], seconds=seconds)


def seconds_of(found: Mapping[str, Sequence[Row]], error: float) -> dict[str, float]:
    """Seconds of those that reach the gradient error, each on its own ladder."""
    times = {name: seconds_at_error(rows, error) for name, rows in found.items()}
    return {name: seconds for name, seconds in times.items() if seconds is not None}


def ratio(seconds: Mapping[str, float], name: str, other: str) -> float | None:
    """The time of one over that of another; ``None`` where one of them did not get there."""
    if name not in seconds or other not in seconds:
        return None
    return seconds[name] / seconds[other]


def lines_of(found: Mapping[str, Sequence[Row]], **about: Any) -> list[dict[str, Any]]:
    """What a table shows of them."""
    return [
        about
        | {
            "method": name,
            "rtol": row.rtol,
            "status": row.status,
            "error": row.error,
            "seconds": row.seconds,
        }
        for name, rows in found.items()
        for row in rows
    ]
