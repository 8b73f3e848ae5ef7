"""Ensembles measured: one method with a number of lanes, as a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ....adjoints.methods import get_method
from ....problems import Problem
from ....problems.reference import Reference
from ..errors import gradient_errors
from ..measure import ATOL_SCALE
from ..names import bare_name, get_problem
from ..row import Row, message_of
from ..task import Task
from ..timing import NUDGE, Silence, TimedCall, in_turn, timed
from . import lanes
from .batched import Batched, batched_gradient


@dataclass(frozen=True, kw_only=True)
class LanesTask(Task):
    """A method with a number of lanes, both in its name; `budget_s` is for its repeated calls."""

    name = "lanes"
    gives = Row

    rtol: float
    budget_s: float

    def rows(self, silence: Silence) -> Iterator[Row]:
        """The one row."""
        row, problem = self._row("ok"), get_problem(self.problem)
        try:
            yield from measure_lanes(
                [row],
                [batched_gradient(problem, bare_name(self.method))],
                problem,
                lanes.number_of(self.method),
                budget_s=self.budget_s,
                silence=silence,
                reference=problem.reference,
            )
        except ModuleNotFoundError as error:
            yield replace(row, status="skipped", message=f"{error.name} is not installed")
        except Exception as error:
            yield replace(row, status="failed", message=message_of(error), exception=True)

    def unmeasured(self, measured: Sequence[Row], status: str, message: str) -> Iterator[Row]:
        """The row, where there is none."""
        if not measured:
            yield replace(
                self._row(status),
                message=message,
                exception=status == "failed",
                allowed_s=self.allowed_s if status == "timeout" else None,
            )

    def _row(self, status: str) -> Row:
        entry = get_method(bare_name(self.method))
        return Row(
            problem=self.problem,
            method=self.method,
            family=entry.family,
            backend=entry.backend,
            rtol=self.rtol,
            atol=self.rtol * ATOL_SCALE,
            status=status,
            study=lanes.STUDY,
            method_version=entry.version,
        )


def measure_lanes(
    rows: Sequence[Row],
    ways: Sequence[Batched],
    problem: Problem,
    number: int,
    *,
    budget_s: float,
    silence: Silence,
    reference: Reference | None,
) -> list[Row]:
    """Each of `rows` with what so many lanes take its way; all ways are timed in turn.

    Errors are those of the first lane, against `reference`.
    """
    many = lanes.lanes_of(problem, number)
    found = [
        _with_error(row, way.gradient(way.place(many), row.rtol), problem, reference)
        for row, way in zip(rows, ways, strict=True)
    ]
    ended = [k for k, row in enumerate(found) if row.status == "ok"]
    calls = [_timed(ways[k], many, found[k].rtol) for k in ended]
    with silence():
        times = in_turn(calls, budget_s * len(calls)) if calls else ()
    for k, seconds in zip(ended, times, strict=True):
        low, median, high = map(float, np.percentile(seconds, [25, 50, 75]))
        told = {"seconds": median, "seconds_low": low, "seconds_high": high}
        found[k] = replace(found[k], **told, calls=len(seconds))
    return found


def _with_error(
    row: Row, gradient: Mapping[str, Any], problem: Problem, reference: Reference | None
) -> Row:
    arrays = {name: np.asarray(value) for name, value in gradient.items()}
    if not all(np.isfinite(value).all() for value in arrays.values()):
        return replace(row, status="nonfinite", phase="gradient")
    if reference is None:
        return replace(row, referenced=False)
    first = {name: value[0] for name, value in arrays.items()}
    error = gradient_errors(first, reference.dparams, problem.params)["error"]
    return replace(row, referenced=True, error=error)


def _timed(way: Batched, many: Mapping[str, np.ndarray], rtol: float) -> TimedCall:
    inputs = [
        (way.place({name: value * (1 + NUDGE * call) for name, value in many.items()}), rtol)
        for call in range(4)
    ]
    return timed(way.gradient, inputs, way.wait, warm_ups=1)
