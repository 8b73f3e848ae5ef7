"""The compiled loop of a problem, as a function of NumPy arrays."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from ...problems import Problem
from ..result import STATUSES
from ..steps.stops import stops_between
from ..steps.tableau import Tableau
from .compiler import loaded
from .equations import equations_of
from .operands import WINDOW_BYTES, Whole, numbers_of, stop_operands, window_of
from .source import source_of

#: Of ``run`` in the C program.
_ARGUMENTS = (
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int),
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


class FoundLanes(NamedTuple):
    """What was found of many trajectories: arrays of what :class:`Found` has of one."""

    status: tuple[str, ...]
    loss: np.ndarray
    dtheta: np.ndarray
    dy0: np.ndarray
    steps: np.ndarray
    attempts: np.ndarray
    swept: np.ndarray


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
        self._source = partial(
            source_of,
            equations_of(problem, stops.acting),
            tableau,
            dtype,
            breaks=stops.breaks,
            saves=len(problem.save_at),
        )
        source = self._source()
        program = loaded(source.text)
        self._run = _run_of(program)
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
            jumps_a_stop=stops.jump_rows.shape[1],
            max_steps=max_steps,
            window=window_of(program, max_steps, WINDOW_BYTES),
        ).array
        self._whole_at = self._whole.ctypes.data
        self._in = np.array([0, 0, *(a.ctypes.data for a in self._fixed), 0], np.intp)

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
        operands[0] = start = given.ctypes.data
        operands[1] = start + n * given.itemsize
        found, counts = self._found(self._run, 1, 1 + n + m, operands, pieces, wanted, times)
        code, *rest = counts.tolist()
        dy0 = found[1 : n + 1].reshape(np.shape(y0))
        return Found(STATUSES[code], float(found[0]), found[n + 1 :], dy0, *rest)

    def lanes(self, theta: np.ndarray, y0: np.ndarray, *, wanted: bool = True) -> FoundLanes:
        """The gradients of many trajectories, several at a time by vector instructions.

        Parameters
        ----------
        theta : ndarray
            A row of parameters for each.
        y0 : ndarray
            With the same leading axis.
        wanted : bool
            Whether the gradients are, beside the losses.
        """
        (count, m), n = theta.shape, y0[0].size
        given = np.empty((count, n + m + len(self._data)), self._dtype)
        given[:, :n], given[:, n + m :] = y0.reshape(count, n), self._data
        given[:, n : n + m] = theta
        operands = np.repeat(self._in[None], count, 0)
        operands[:, 0] = given.ctypes.data + given.strides[0] * np.arange(count)
        operands[:, 1] = operands[:, 0] + n * given.itemsize
        run = self._run if count == 1 else self._run_lanes
        found, counts = self._found(run, count, 1 + n + m, operands, 1, wanted, None)
        found, counts = found.reshape(count, -1), counts.reshape(count, -1).T
        status = tuple(STATUSES[code] for code in counts[0].tolist())
        dy0 = found[:, 1 : n + 1].reshape(y0.shape)
        return FoundLanes(status, found[:, 0], found[:, n + 1 :], dy0, *counts[1:])

    @cached_property
    def _run_lanes(self) -> Any:
        return _run_of(loaded(self._source(lanes=True).text))

    def _found(
        self,
        run: Any,
        lanes: int,
        width: int,
        operands: np.ndarray,
        pieces: int,
        wanted: bool,
        times: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The numbers and the counts of each lane, one behind the other."""
        # Where it ends early nothing is written.
        found, counts = np.full(lanes * width, np.nan, self._dtype), np.zeros(4 * lanes, np.int64)
        run(
            (ctypes.c_long * 2)(lanes, len(self._in)),
            operands.ctypes.data,
            self._whole_at,
            pieces,
            wanted,
            found.ctypes.data,
            None if times is None else times.ctypes.data,
            counts.ctypes.data,
        )
        return found, counts

    def accepted_times(self, theta: np.ndarray, y0: np.ndarray) -> np.ndarray:
        """The times from which the accepted steps start."""
        times = np.empty(self._max_steps, self._dtype)
        found = self(theta, y0, wanted=False, times=times)
        return times[: found.steps]


def _run_of(program: ctypes.CDLL) -> Any:
    run = program.run
    run.argtypes, run.restype = _ARGUMENTS, None
    return run


def _filled(array: np.ndarray, value: Any) -> np.ndarray:
    array[...] = value
    return array
