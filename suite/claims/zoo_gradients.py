"""The gradients that methods give on problems of the zoo, and how far they are from the truth."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...adjoints.gradient import prepare
from ...problems import Problem
from ..measuring.errors import gradient_errors
from ..measuring.measure import ATOL_SCALE
from ..measuring.names import get_problem


@dataclass(frozen=True)
class ZooGradient:
    """How a method ended at one tolerance.

    Attributes
    ----------
    problem, method : str
    rtol : float
    status : str
        As of a gradient; a refusal is ``"skipped"``.
    error : float or None
        Where it ended well, and the truth is known.
    dparams : mapping of str to ndarray, optional
        The gradient; ``None`` of a refusal.
    """

    problem: str
    method: str
    rtol: float
    status: str
    error: float | None = None
    dparams: Mapping[str, np.ndarray] | None = None

    def line(self) -> dict[str, Any]:
        """What a table shows of it."""
        names = ("problem", "method", "rtol", "status", "error")
        return {name: getattr(self, name) for name in names}


@functools.cache
def problem_of(name: str) -> Problem:
    """The problem of this name, the same object each time: programs are compiled for it once."""
    return get_problem(name)


def zoo_gradients(
    problem: str, method: str, rtols: Sequence[float], **settings: Any
) -> Iterator[ZooGradient]:
    """How a method ends at each tolerance, and its error where the truth is known."""
    found = problem_of(problem)
    for rtol in rtols:
        tolerances: dict[str, Any] = {"rtol": rtol, "atol": rtol * ATOL_SCALE} | settings
        try:
            result = prepare(found, method, **tolerances)()
        except ValueError:
            yield ZooGradient(problem, method, rtol, "skipped")
            continue
        error = None
        if result.status == "ok" and found.reference is not None:
            error = gradient_errors(result.dparams, found.reference.dparams, found.params)["error"]
        yield ZooGradient(problem, method, rtol, result.status, error, result.dparams)
