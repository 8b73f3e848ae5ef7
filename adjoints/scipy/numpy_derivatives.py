"""The derivative formulas on NumPy alone, for equations that no framework can differentiate.

By complex steps where the functions are analytic, which are exact to rounding; else by central
differences, which keep ten digits of a smooth function. Either calls a function once or twice for
each of its inputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ...problems import Problem
from .analytic import require_analytic
from .derivative_formulas import Formula, Framework

#: Far below rounding; and where truncation and rounding of a central difference are balanced.
COMPLEX_STEP = 1e-30
REAL_STEP = float(np.finfo(np.float64).eps ** (1 / 3))

#: ``slope(function, x, direction, size)``: the derivative along one input.
Slope = Callable[[Callable[[np.ndarray], np.ndarray], np.ndarray, np.ndarray, float], np.ndarray]


def _by_complex_step(
    function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, direction: np.ndarray, size: float
) -> np.ndarray:
    step = COMPLEX_STEP * size
    return np.imag(function(x + 1j * step * direction)) / step


def _by_difference(
    function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, direction: np.ndarray, size: float
) -> np.ndarray:
    ahead, behind = (x + sign * REAL_STEP * size * direction for sign in (1, -1))
    return (function(ahead) - function(behind)) / (ahead - behind).sum()


class NumpyBackend:
    """Runs the derivative formulas on NumPy.

    Parameters
    ----------
    problem : Problem
        Tells whether its functions are analytic.
    """

    def __init__(self, problem: Problem) -> None:
        analytic = _is_analytic(problem)
        self.name = "complex step" if analytic else "finite differences"
        first = _jacobians(_by_complex_step if analytic else _by_difference)
        self.framework = Framework(
            vjp=_vjp(first),
            jacfwd=first,
            jacrev=first,
            second=_jacobians(_by_difference),
            concat=np.concatenate,
        )

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Nothing needs to be set."""
        yield

    def compile(
        self, formula: Formula, size: int, m: int, constants: Mapping[str, np.ndarray]
    ) -> Callable[[np.ndarray, Any], np.ndarray]:
        """`formula` on NumPy vectors; nothing is compiled."""
        return lambda z, theta: np.asarray(formula(z, theta, constants))

    def put(self, theta: np.ndarray) -> np.ndarray:
        """The parameters as they are."""
        return theta


def _is_analytic(problem: Problem) -> bool:
    try:
        require_analytic(problem)
    except ValueError:
        return False
    return True


def _jacobians(slope: Slope) -> Callable[..., Any]:
    """``jacfwd(function, argnums)`` by `slope`."""

    def jacfwd(function: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Any:
        def jacobian(argnum: int, arguments: tuple[Any, ...]) -> np.ndarray:
            def of_one(x: np.ndarray) -> np.ndarray:
                return function(*arguments[:argnum], x, *arguments[argnum + 1 :])

            x = arguments[argnum]
            if not x.size:
                return np.zeros((*of_one(x).shape, 0))
            columns = [
                slope(of_one, x, direction, size)
                for direction, size in zip(np.eye(x.size), _sizes(x), strict=True)
            ]
            return np.stack(columns, axis=-1)

        def jacobians(*arguments: Any) -> Any:
            if isinstance(argnums, int):
                return jacobian(argnums, arguments)
            return tuple(jacobian(argnum, arguments) for argnum in argnums)

        return jacobians

    return jacfwd


def _vjp(jacfwd: Callable[..., Any]) -> Callable[..., Any]:
    """``vjp(function, *arguments) -> (value, pull)``, from whole Jacobians."""

    def vjp(function: Callable[..., Any], *arguments: Any) -> Any:
        jacobians = jacfwd(function, argnums=tuple(range(len(arguments))))(*arguments)
        return function(*arguments), lambda w: tuple(w @ jacobian for jacobian in jacobians)

    return vjp


def _sizes(x: np.ndarray) -> np.ndarray:
    """The size of each element: its own, or where it is zero that of the largest."""
    # Infinite are the times of events that did not happen.
    known = np.where(np.isfinite(x), np.abs(x), 0.0)
    return np.where(known == 0, np.max(known, initial=0.0) or 1.0, known)
