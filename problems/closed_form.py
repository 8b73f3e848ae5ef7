"""A problem's ``exact`` from its solution in closed form, times of events included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .event import EVENT_TIMES
from .initial_value import Loss
from .problem import Exact

#: ``solution(p, y0) -> (ys, event_times)``: states at the saves, and the times of the events that
#: happened, in NumPy and for complex numbers as well.
Solution = Callable[[Mapping[str, Any], np.ndarray], tuple[np.ndarray, np.ndarray]]

#: Far below rounding: the derivative by a complex step has no error of differencing.
_STEP = 1e-30


def exact_of(
    solution: Solution,
    loss: Loss,
    constants: Mapping[str, np.ndarray] | None = None,
    max_events: int = 0,
) -> Exact:
    """The closed-form loss and gradient of a problem, derivatives by complex steps.

    Parameters
    ----------
    solution : callable
    loss, constants
        As of the problem.
    max_events : int
        As of the problem where it has events; 0 where it has none.

    Returns
    -------
    callable
        ``exact(params, y0) -> (loss, dparams, dy0)``.

    Notes
    -----
    Right to rounding where `solution` and `loss` are analytic [1]_. What they decide by comparing
    numbers, as which events come before a save, must be decided by real parts.

    References
    ----------
    .. [1] W. Squire, G. Trapp, SIAM Rev. 40 (1998) 110.
    """

    def value(params: Mapping[str, Any], y0: Any) -> Any:
        ys, times = solution({**params, **(constants or {})}, y0)
        known = {**params, **(constants or {})}
        if max_events:
            known[EVENT_TIMES] = np.pad(times, (0, max_events - len(times)), constant_values=np.inf)
        return loss(ys, known)

    def exact(
        params: Mapping[str, np.ndarray], y0: np.ndarray
    ) -> tuple[float, dict[str, np.ndarray], np.ndarray]:
        dparams = {
            name: _gradient(lambda moved, name=name: value({**params, name: moved}, y0), held)
            for name, held in params.items()
        }
        dy0 = _gradient(lambda moved: value(params, moved), y0)
        return float(value(params, y0)), dparams, dy0

    return exact


def _gradient(function: Callable[[np.ndarray], Any], x: np.ndarray) -> np.ndarray:
    """The derivative of an analytic function at `x`, one complex step for each entry."""
    slopes = [np.imag(function(moved)) / _STEP for moved in _steps(x)]
    return np.reshape(np.asarray(slopes), np.shape(x))


def _steps(x: np.ndarray) -> Iterator[np.ndarray]:
    """`x` with each entry moved in its turn."""
    for index in np.ndindex(np.shape(x)):
        moved = np.array(x, dtype=complex)
        moved[index] += 1j * _STEP
        yield moved
