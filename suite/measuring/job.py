"""``Job``: one method on one problem over a ladder of tolerances, as a task."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ...adjoints.methods import get_method
from ...problems.reference import find_reference
from .error_bars import error_bar
from .measure import ATOL_SCALE, iterate_ladder
from .names import get_problem, split_name
from .row import Row
from .task import Task
from .timing import Silence


@dataclass(frozen=True, kw_only=True)
class Job(Task):
    """One method on one problem on one device, over a ladder of tolerances.

    `budget_s` is for the repeated calls behind each time. `locator` is where a problem stands that
    is not of the zoo, `references` the file that holds its reference; `as_stiff` has it solved as a
    stiff one, whatever it says of itself; with `error_bars` each gradient tells its own error, too;
    without `primal` the primal solve is not timed beside it, nor compiled.
    """

    name = "ladder"
    gives = Row

    rtols: tuple[float, ...]
    budget_s: float
    atol_scale: float = ATOL_SCALE
    locator: str = ""
    references: str = ""
    as_stiff: bool = False
    error_bars: bool = False
    primal: bool = True

    def rows(self, silence: Silence) -> Iterator[Row]:
        """The rows of the ladder, in a measuring process."""
        problem = get_problem(self.locator or self.problem)
        if self.as_stiff:
            problem = replace(problem, stiff=True)
        file = Path(self.references) if self.references else None
        _import_packages(split_name(self.method)[0])
        also = partial(error_bar, budget_s=self.budget_s, silence=silence)
        for row in iterate_ladder(
            problem,
            self.method,
            self.rtols,
            reference=find_reference(problem.name, problem.definition_hash, file),
            atol_scale=self.atol_scale,
            device=self.device,
            budget_s=self.budget_s,
            silence=silence,
            also=also if self.error_bars else None,
            keep_gradients=bool(self.references),
            primal=self.primal,
        ):
            yield replace(row, study=self.study or None)

    def unmeasured(self, measured: Sequence[Row], status: str, message: str) -> Iterator[Row]:
        """A row for each tolerance that is missing, where the job was cut off."""
        entry = get_method(split_name(self.method)[0])
        for rtol in self.rtols:
            if rtol not in [row.rtol for row in measured]:
                yield Row(
                    problem=self.problem,
                    method=self.method,
                    device=self.device,
                    family=entry.family,
                    backend=entry.backend,
                    rtol=rtol,
                    status=status,
                    message=message,
                    exception=status == "failed",
                    stiff=True if self.as_stiff else None,
                    study=self.study or None,
                    allowed_s=self.allowed_s if status == "timeout" else None,
                )


def _import_packages(method: str) -> None:
    """Import what a method needs, so that the time of its first call is not that of importing."""
    for package in get_method(method).requires:
        with suppress(ImportError):
            importlib.import_module(package)
