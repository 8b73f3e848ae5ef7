"""Stochastic equations measured: one way on one problem over steps and tolerances, as a task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ....problems.stochastic import SdeProblem
from ..errors import gradient_errors, relative_error
from ..row import Row, message_of
from ..shared_programs import shared_programs
from ..task import Task
from ..timing import NUDGE, Silence, TimedCall, in_turn, timed
from . import sde
from .sde_truth import NUMBER, Truth, get_sde, truth_of
from .sde_ways import Way, way


@dataclass(frozen=True, kw_only=True)
class SdeTask(Task):
    """A way on a problem; `budget_s` is for the repeated calls behind each time."""

    name = "sde"
    gives = Row

    budget_s: float
    quick: bool = False

    def rows(self, silence: Silence) -> Iterator[Row]:
        """A row a step size, then a row a tolerance."""
        with shared_programs():
            yield from self._rows(silence)

    def _rows(self, silence: Silence) -> Iterator[Row]:
        for size in sde.sizes_of(self.method, quick=self.quick):
            row = self._row("ok", size)
            try:
                found = way(get_sde(self.problem), row.method)
                row = with_errors(row, found, truth_of(self.problem))
                if row.status == "ok":
                    row = _with_times(row, found, self.budget_s, silence)
                yield row
            except ValueError as refusal:
                yield replace(row, status="skipped", message=str(refusal))
                return
            except ModuleNotFoundError as error:
                yield replace(row, status="skipped", message=f"{error.name} is not installed")
                return
            except Exception as error:
                yield replace(row, status="failed", message=message_of(error), exception=True)

    def unmeasured(self, measured: Sequence[Row], status: str, message: str) -> Iterator[Row]:
        """The rows that are missing."""
        had = {row.method for row in measured}
        for size in sde.sizes_of(self.method, quick=self.quick):
            row = self._row(status, size)
            if row.method not in had:
                yield replace(
                    row,
                    message=message,
                    exception=status == "failed",
                    allowed_s=self.allowed_s if status == "timeout" else None,
                )

    def _row(self, status: str, size: dict[str, float]) -> Row:
        name = self.method.partition("-")[0]
        tol = size.get("tol", 0.0)
        return Row(
            problem=self.problem,
            method=sde.method_of(self.method, size),
            family="discrete" if name == "jax" else "peers",
            backend="torch" if name == "torchsde" else "jax",
            rtol=tol,
            atol=tol,
            status=status,
            study=sde.STUDY,
        )


def with_errors(row: Row, found: Way, truth: Truth) -> Row:
    """The row with what its way gives on the given path."""
    problem = get_sde(row.problem)
    result = found.on_given_path(truth.params, problem.y0, NUMBER)
    row = replace(row, steps=result.steps, rejected=result.rejected)
    if not result.ok:
        return replace(row, status="max_steps", phase="forward")
    if not all(np.isfinite(value).all() for value in (*result.dparams.values(), result.ys)):
        return replace(row, status="nonfinite", phase="gradient")
    dy0_error = relative_error(result.dy0, truth.dy0)
    return replace(
        row,
        referenced=True,
        agreement=truth.agreement,
        error=gradient_errors(result.dparams, truth.dparams, truth.params)["error"],
        dy0_error=dy0_error if np.isfinite(dy0_error) else None,
        solution_error=relative_error(result.ys[-1], truth.end),
    )


def timed_call(found: Way, problem: SdeProblem) -> TimedCall:
    """The way on paths of its own, warmed up; parameters change from call to call."""
    variants = (
        {name: value * (1 + NUDGE * call) for name, value in problem.params.items()}
        for call in range(8)
    )
    return timed(*found.calls(variants), warm_ups=1)


def _with_times(row: Row, found: Way, budget_s: float, silence: Silence) -> Row:
    call = timed_call(found, get_sde(row.problem))
    with silence():
        seconds = in_turn([call], budget_s)[0]
    low, median, high = map(float, np.percentile(seconds, [25, 50, 75]))
    times: dict[str, Any] = {"seconds": median, "seconds_low": low, "seconds_high": high}
    return replace(row, **times, calls=len(seconds), saved_bytes=found.kept_bytes())
