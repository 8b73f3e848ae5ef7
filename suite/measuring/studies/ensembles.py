"""Ensembles measured: one method with several numbers of lanes, as a task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....adjoints.methods import get_method
from ....problems import Problem
from ....problems.reference import Reference
from ..errors import gradient_errors
from ..measure import ATOL_SCALE
from ..names import get_problem
from ..row import Row, message_of
from ..task import Task
from ..timing import NUDGE, Silence, in_turn, timed
from . import lanes
from .batched import Batched, batched_gradient


@dataclass(frozen=True, kw_only=True)
class LanesTask(Task):
    """One method with several numbers of lanes; `budget_s` is for the calls behind each time."""

    name = "lanes"
    gives = Row

    numbers: tuple[int, ...]
    rtol: float
    budget_s: float

    def rows(self, silence: Silence) -> Iterator[Row]:
        """A row for each number of lanes, the fewest first, until one takes too long."""
        problem = get_problem(self.problem)
        message = ""
        batched: Batched | None = None
        for number in self.numbers:
            row = self._row(number)
            if message:
                yield replace(row, status="skipped", message=message)
                continue
            try:
                batched = batched or batched_gradient(problem, self.method)
                row = measure_lanes(
                    row,
                    problem,
                    batched,
                    number,
                    budget_s=self.budget_s,
                    silence=silence,
                    reference=problem.reference,
                )
            except ModuleNotFoundError as error:
                row = replace(row, status="skipped", message=f"{error.name} is not installed")
            except Exception as error:
                row = replace(row, status="failed", message=message_of(error), exception=True)
            if row.seconds is not None and row.seconds > lanes.LONGEST_S:
                message = f"{number} lanes took {row.seconds:.0f} s"
            yield row

    def unmeasured(self, measured: Sequence[Row], status: str, message: str) -> Iterator[Row]:
        """The rows of the numbers that were not reached."""
        done = {row.method for row in measured}
        for number in self.numbers:
            row = self._row(number)
            if row.method not in done:
                yield replace(
                    row,
                    status=status,
                    message=message,
                    exception=status == "failed",
                    allowed_s=self.timeout_s if status == "timeout" else None,
                )

    def _row(self, number: int) -> Row:
        entry = get_method(self.method)
        return Row(
            problem=self.problem,
            method=lanes.method_of(self.method, number),
            family=entry.family,
            backend=entry.backend,
            rtol=self.rtol,
            atol=self.rtol * ATOL_SCALE,
            status="ok",
            study=lanes.STUDY,
            method_version=entry.version,
        )


def measure_lanes(
    row: Row,
    problem: Problem,
    batched: Batched,
    number: int,
    *,
    budget_s: float,
    silence: Silence,
    reference: Reference | None,
) -> Row:
    """`row` with what so many lanes take; its error is that of the first, against `reference`."""
    base = lanes.lanes_of(problem, number)
    inputs = [
        (batched.place({k: v * (1 + NUDGE * call) for k, v in base.items()}), row.rtol)
        for call in range(4)
    ]
    found = batched.gradient(*inputs[0])
    gradients = {name: np.asarray(value) for name, value in found.items()}
    if not all(np.isfinite(value).all() for value in gradients.values()):
        return replace(row, status="nonfinite", phase="gradient")
    call = timed(batched.gradient, inputs, batched.wait, warm_ups=1)
    with silence():
        (seconds,) = in_turn([call], budget_s)
    low, median, high = np.percentile(seconds, [25, 50, 75])
    error = None
    if reference is not None:
        first = {name: value[0] for name, value in gradients.items()}
        error = gradient_errors(first, reference.dparams, problem.params)["error"]
    return replace(
        row,
        error=error,
        referenced=reference is not None,
        seconds=float(median),
        seconds_low=float(low),
        seconds_high=float(high),
        calls=len(seconds),
    )
