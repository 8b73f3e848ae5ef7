"""The compiled loop of a problem, as a function of NumPy arrays."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...problems import Problem
from ..result import STATUSES
from ..steps.tableau import Tableau
from .compiler import loaded
from .source import source_of

#: Of ``run`` in the C program.
_ARGUMENTS = (
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double, ctypes.c_long, ctypes.c_int),
    *(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
)


@dataclass(frozen=True)
class Found:
    """What a call gave: numbers, how it ended, and counts of steps.

    ``swept`` are the steps of the gradient: those accepted, or their pieces.
    """

    status: str
    loss: float
    dtheta: np.ndarray
    dy0: np.ndarray
    steps: int
    attempts: int
    swept: int


class CompiledLoop:
    """Loss and gradient of a problem by one call.

    Parameters
    ----------
    problem : Problem
    tableau : Tableau
        An explicit or Rosenbrock method.
    rtol, atol : float or ndarray
    first_step : float, optional
    max_steps : int

    Raises
    ------
    UntranslatableError, NoCompilerError
        Where the equations cannot be written as C, or nothing compiles it.
    """

    def __init__(
        self,
        problem: Problem,
        tableau: Tableau,
        rtol: Any,
        atol: Any,
        first_step: float | None = None,
        max_steps: int = 16384,
    ) -> None:
        self._dtype = problem.dtype
        self._run = loaded(source_of(problem, tableau)).run
        self._run.argtypes = _ARGUMENTS
        shape = (2, *problem.y0.shape)
        self._tolerances = np.empty(shape, problem.dtype)
        self._tolerances[0], self._tolerances[1] = rtol, atol
        self._first_step = float("nan") if first_step is None else first_step
        self._max_steps = max_steps

    def __call__(
        self,
        theta: np.ndarray,
        y0: np.ndarray,
        *,
        pieces: int = 1,
        wanted: bool = True,
        times: np.ndarray | None = None,
    ) -> Found:
        """The gradient, or the loss alone where it is not `wanted`.

        Parameters
        ----------
        theta : ndarray
            The parameters in one flat array.
        y0 : ndarray
        pieces : int
            Into how many pieces each accepted step is cut, and taken again; none: two are joined.
        wanted : bool
        times : ndarray, optional
            Gets the times of the accepted steps, their starts and the end.
        """
        n = np.size(y0)
        given = np.empty(n + len(theta), self._dtype)
        given[:n], given[n:] = np.ravel(y0), theta
        # Where it ends early nothing is written.
        found, counts = np.full(1 + given.size, np.nan, self._dtype), np.zeros(3, np.int64)
        code = self._run(
            given.ctypes.data,
            self._tolerances.ctypes.data,
            self._first_step,
            self._max_steps,
            pieces,
            wanted,
            found.ctypes.data,
            None if times is None else times.ctypes.data,
            counts.ctypes.data,
        )
        dy0 = found[1 : n + 1].reshape(np.shape(y0))
        return Found(STATUSES[code], float(found[0]), found[n + 1 :], dy0, *counts.tolist())

    def accepted_times(self, theta: np.ndarray, y0: np.ndarray) -> np.ndarray:
        """The times from which the accepted steps start."""
        times = np.empty(self._max_steps + 1, self._dtype)
        found = self(theta, y0, wanted=False, times=times)
        return times[: found.steps]
