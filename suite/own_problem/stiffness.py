"""Whether a problem that does not say so is stiff, by two solves of SciPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...adjoints.gradient import prepare
from ...problems import Problem
from ..measuring.names import get_problem
from ..measuring.row import message_of
from ..measuring.task import Task
from ..measuring.timing import Silence

#: A loose tolerance, at which stability and not accuracy limits the steps of a stiff problem; the
#: absolute one in units of the largest component at the start.
_RTOL, _ATOL = 1e-3, 1e-6

#: Steps that are too few for an explicit solver and a tenth of them, enough for LSODA.
EXPLICIT_STEPS, IMPLICIT_STEPS = 4000, 400


@dataclass(frozen=True)
class Looked:
    """What the two solves said; a sentence where they could not."""

    status: str
    message: str = ""
    stiff: bool = False


@dataclass(frozen=True, kw_only=True)
class LookStiff(Task):
    """A task that tells whether the problem at `locator` is stiff."""

    name = "stiffness"
    gives = Looked

    locator: str

    def rows(self, silence: Silence) -> Iterator[Looked]:
        """The one answer."""
        try:
            yield Looked("ok", stiff=looks_stiff(get_problem(self.locator or self.problem)))
        except Exception as error:
            yield Looked("failed", message_of(error))

    def unmeasured(self, measured: Sequence[Any], status: str, message: str) -> Iterator[Looked]:
        """The answer of one that was cut off."""
        yield Looked(status, message)


def looks_stiff(problem: Problem) -> bool:
    """Whether RK45 takes more than ten times the steps of LSODA, and very many."""
    if _is_solved(problem, "rk45", EXPLICIT_STEPS):
        return False
    return _is_solved(problem, "lsoda", IMPLICIT_STEPS)


def _is_solved(problem: Problem, solver: str, max_steps: int) -> bool:
    # No derivatives are taken: the method is the one that needs none.
    atol = _ATOL * (float(np.abs(problem.y0).max()) or 1.0)
    options: dict[str, Any] = {"solver": solver, "max_steps": max_steps, "rtol": _RTOL}
    run = prepare(problem, "finite-difference", atol=atol, **options)
    return bool(np.isfinite(run.primal()))
