"""Whether a problem's functions are analytic, as the complex step needs them.

Two tests, since neither sees everything. A *watched* array runs through the functions once and
refuses what is not analytic anywhere it branches: absolute values, comparisons, elementwise
maxima. (A maximum over an axis passes: taken off before an exponential it cancels.) And at
several states the derivative in the direction ``i v`` must be ``i`` times the derivative in the
direction ``v`` (Cauchy and Riemann), the latter from real differences: this catches real and
imaginary parts, conjugates and casts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...problems import Problem
from ...problems.moving_times import MovingTimes
from .flat import FlatSystem, flat_system, pack

#: Elementwise functions that are not analytic, or branch on what is not.
REFUSED = frozenset(
    {
        "absolute",
        "fabs",
        "sign",
        "signbit",
        "copysign",
        "conjugate",
        "maximum",
        "minimum",
        "fmax",
        "fmin",
        "clip",
        "heaviside",
        "greater",
        "greater_equal",
        "less",
        "less_equal",
        "equal",
        "not_equal",
        "floor",
        "ceil",
        "trunc",
        "rint",
        "remainder",
        "fmod",
        "floor_divide",
        "divmod",
        "modf",
        "arctan2",
        "hypot",
        "logical_and",
        "logical_or",
        "logical_not",
    }
)

#: States at which the Cauchy-Riemann equations are tested.
STATES = 4
#: Relative step of the real differences, and how well they must agree with the complex ones.
REAL_STEP = 1e-6
AGREEMENT = 1e-3


class _RefusedError(Exception):
    """A watched array met a function that is not analytic."""


class WatchedArray(np.ndarray):
    """An array that refuses elementwise functions that are not analytic."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and ufunc.__name__ in REFUSED and any(map(_is_complex, inputs)):
            raise _RefusedError(f"uses {ufunc.__name__!r} on complex values")
        if "out" in kwargs:
            kwargs["out"] = tuple(map(_plain, kwargs["out"]))
        return _watched(getattr(ufunc, method)(*map(_plain, inputs), **kwargs))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _watched(super().__array_function__(func, types, args, kwargs))


def _is_complex(value: Any) -> bool:
    return np.iscomplexobj(value)


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, WatchedArray) else value


def _watched(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and not isinstance(value, WatchedArray):
        return np.asarray(value).view(WatchedArray)
    return value


def require_analytic(problem: Problem) -> None:
    """Refuse a problem whose functions the complex step cannot differentiate.

    Raises
    ------
    ValueError
        Naming ``rhs``, ``loss`` or ``jump`` and what is wrong with it.
    """
    rng = np.random.default_rng(0)
    for name, function, size in _functions(problem):
        center = np.hstack([pack(problem.params), _start(problem, size)])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            fault = _watched_fault(function, center) or _cauchy_riemann_fault(function, center, rng)
        if fault:
            raise ValueError(
                f"method='complex-step' needs analytic functions, and {name} of problem "
                f"{problem.name!r} {fault}; use method='finite-difference' or any other method"
            )


def _functions(
    problem: Problem,
) -> list[tuple[str, Callable[[np.ndarray], Any], int]]:
    """Name, function of ``[theta, state or states]`` and size of the latter."""
    system, n, saves = flat_system(problem), problem.n_states, len(problem.save_at)
    m, constants = system.m, system.constants
    t0, t1 = problem.t_span
    time = np.asarray(t0 + 0.37 * (t1 - t0))

    def rhs(x: np.ndarray) -> Any:
        return system.rhs(time, x[m:], x[:m], constants)

    times = np.linspace(t0, t1, system.times_seen + 2)[1:-1]

    def loss(x: np.ndarray) -> Any:
        return system.loss(x[m:].reshape(saves, n), x[:m], constants, times)

    return [("rhs", rhs, n), ("loss", loss, saves * n), *_of_stops(problem, system, time)]


def _of_stops(
    problem: Problem, system: FlatSystem, time: np.ndarray
) -> list[tuple[str, Callable[[np.ndarray], Any], int]]:
    """The same of what happens at declared times and at events."""
    n, m, shape = system.n, system.m, problem.y0.shape

    def made(name: str, function: Callable[[Any, Any], Any]) -> Any:
        def of_all(x: np.ndarray) -> Any:
            p = system.arguments(x[:m], system.constants)
            return np.ravel(function(x[m:].reshape(shape), p))

        return name, of_all, n

    def moving(times: MovingTimes) -> Callable[[Any, Any], Any]:
        # Times alone do not depend on the state, which may be complex where they are real.
        return lambda y, p: times.at(p)

    def jumping(i: int, t: float) -> Callable[[Any, Any], Any]:
        jump = problem.jump
        assert jump is not None
        return lambda y, p: jump(i, np.asarray(t), y, p)

    def event_jump(jump: Any) -> Callable[[Any, Any], Any]:
        return lambda y, p: jump(time, y, p)

    found = [made("jump", jumping(i, t)) for i, t in enumerate(problem.jump_times)]
    for name in ("discontinuities", "jump_times"):
        times = getattr(problem, name)
        if isinstance(times, MovingTimes):
            found.append(made(name, moving(times)))
    for event in problem.events:
        found.append(made("when of an event", event_jump(event.when)))
        if event.jump is not None:
            found.append(made("jump of an event", event_jump(event.jump)))
    return found


def _start(problem: Problem, size: int) -> np.ndarray:
    y0 = np.ravel(problem.y0).astype(np.float64)
    return np.tile(y0, size // y0.size)


def _watched_fault(function: Callable[[np.ndarray], Any], x: np.ndarray) -> str:
    try:
        function(x.astype(np.complex128).view(WatchedArray))
    except _RefusedError as error:
        return str(error)
    except TypeError as error:
        return f"does not take complex values ({error})"
    return ""


def _cauchy_riemann_fault(
    function: Callable[[np.ndarray], Any], center: np.ndarray, rng: np.random.Generator
) -> str:
    size = np.where(center == 0, np.max(np.abs(center), initial=1e-3), np.abs(center))
    h = 1e-30
    # Never the start value itself: it is often a stationary point of the loss.
    for spread in np.linspace(0.05, 0.3, STATES):
        x = center + spread * size * rng.uniform(0.2, 1, size.shape) * _signs(rng, size)
        v = size * rng.uniform(0.5, 1, size.shape) * _signs(rng, size)
        across = np.ravel(np.imag(function(x + 1j * h * v))) / h
        along = np.ravel(function(x + REAL_STEP * v) - function(x - REAL_STEP * v))
        along = along / (2 * REAL_STEP)
        if not (np.isfinite(across).all() and np.isfinite(along).all()):
            continue
        noise = 1e-9 * np.max(np.abs(function(x)), initial=0.0)
        allowed = AGREEMENT * np.abs(along) + 1e-5 * np.max(np.abs(along), initial=0.0) + noise
        if (np.abs(across - along) > allowed).any():
            return "does not satisfy the Cauchy-Riemann equations"
    return ""


def _signs(rng: np.random.Generator, like: np.ndarray) -> np.ndarray:
    return rng.choice([-1.0, 1.0], like.shape)
