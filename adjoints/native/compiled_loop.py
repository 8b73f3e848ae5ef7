"""The compiled loop of a problem, as a function of NumPy arrays."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...problems import Problem
from ..result import STATUSES
from ..steps.stops import stops_between
from ..steps.tableau import Tableau
from .compiler import loaded
from .equations import equations_of
from .operands import Whole, numbers_of, pointers, stop_operands, window_of
from .source import source_of

#: Bytes of accepted steps that are kept with their stages.
WINDOW_BYTES = 1 << 22

#: Of ``run`` in the C program.
_ARGUMENTS = (
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int),
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
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
        dtype = self._dtype = problem.dtype
        stops = stops_between(
            problem.discontinuities, problem.jump_times, *problem.t_span, problem.dtype
        )
        acting = tuple(sorted(i for jumps in stops.jumps for i in jumps))
        source = source_of(
            equations_of(problem, acting),
            tableau,
            dtype,
            breaks=stops.breaks,
            saves=len(problem.save_at),
        )
        program = loaded(source.text)
        self._run = program.run
        self._run.argtypes = _ARGUMENTS
        self._data = source.data
        self._max_steps = max_steps
        tolerances = (np.empty(problem.y0.shape, dtype) for _ in range(2))
        self._fixed = [
            *(_filled(like, value) for like, value in zip(tolerances, (rtol, atol), strict=True)),
            numbers_of(problem.t_span[0], first_step, None, dtype),
            np.asarray(problem.save_at, dtype),
            *stop_operands(stops, dtype),
        ]
        self._whole = Whole(
            saves=len(problem.save_at),
            jumps_a_stop=max(1, *map(len, stops.jumps)),
            max_steps=max_steps,
            window=window_of(program, max_steps, WINDOW_BYTES),
        ).array
        self._in = pointers([None, None, *self._fixed, None])

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
            Gets the times of the accepted steps, their starts.
        """
        n, m = np.size(y0), len(theta)
        given = np.empty(n + m + len(self._data), self._dtype)
        given[:n], given[n : n + m], given[n + m :] = np.ravel(y0), theta, self._data
        operands = self._in.copy()
        operands[0] = given.ctypes.data
        operands[1] = given.ctypes.data + n * given.itemsize
        # Where it ends early nothing is written.
        found, counts = np.full(1 + n + m, np.nan, self._dtype), np.zeros(3, np.int64)
        code = self._run(
            operands.ctypes.data,
            self._whole.ctypes.data,
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
        times = np.empty(self._max_steps, self._dtype)
        found = self(theta, y0, wanted=False, times=times)
        return times[: found.steps]


def _filled(array: np.ndarray, value: Any) -> np.ndarray:
    array[...] = value
    return array
