"""A problem with a regulariser in its loss, or in its equations, as another problem.

What changes from step to step of a training, coefficient and draws, are constants of the new
problem, under names that begin with :data:`PREFIX`; :func:`draws` makes them anew.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from ...problems import Problem
from ..steps.runge_kutta import embedded_error, error_scale, error_slopes, step_stages
from ..steps.step_size import first_step
from ..steps.tableau import Tableau
from ..steps.tableaus import tableau
from .regularizer import ALONG_PATH, Regularizer
from .time_derivatives import hold, jacobian_product, time_derivatives

Array = Any
Named = Mapping[str, Any]

PREFIX = "regularizer_"
COEFFICIENT, NOISE, STRETCH = PREFIX + "coefficient", PREFIX + "noise", PREFIX + "stretch"
_WITH_ERROR = ("tsit5", "dopri5", "dop853")
ROWS, ROW, TIME = PREFIX + "rows", PREFIX + "row", PREFIX + "time"


def regularized(
    problem: Problem,
    regularizer: Regularizer,
    coefficient: float,
    *,
    solver: str,
    rtol: Any,
    atol: Any,
    shares: np.ndarray | None = None,
) -> Problem:
    """`problem` with a regulariser that does not depend on the solver's own steps.

    Parameters
    ----------
    problem : Problem
    regularizer : Regularizer
    coefficient : float
    solver : str
        Takes the step of ``"local"``, where it is an explicit one of the open solvers with an
        embedded error; else ``"tsit5"`` does.
    rtol, atol : float or ndarray
        Tolerances by which ``"local"`` scales its error.
    shares : ndarray, shape (times,), optional
        How likely ``"local"`` draws each time; all alike by default.

    Returns
    -------
    Problem
        ``"kinetic"``, ``"jacobian"`` and ``"taylor"`` append one component to the last axis of
        the state.

    Raises
    ------
    ValueError
        Where the problem does not allow it.
    """
    random = np.random.RandomState(regularizer.seed)
    drawn = draws(problem, regularizer, coefficient, random, shares)
    if regularizer.name in ALONG_PATH:
        return _along_path(problem, regularizer, drawn)
    if regularizer.name == "steer":
        return _steered(problem, drawn)
    tab = tableau(solver if solver in _WITH_ERROR else "tsit5")
    return _with_local_error(problem, regularizer, drawn, tab, rtol, atol)


def draws(
    problem: Problem,
    regularizer: Regularizer,
    coefficient: float,
    random: np.random.RandomState,
    shares: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The constants that change from step to step: the coefficient, and what is drawn.

    Parameters
    ----------
    problem : Problem
        Without the regulariser.
    regularizer, coefficient, shares
        As for :func:`regularized`.
    random : RandomState
        Its streams are frozen by NumPy, and the same for every framework.
    """
    found: dict[str, Any] = {COEFFICIENT: coefficient}
    if regularizer.name == "jacobian":
        found[NOISE] = random.randint(0, 2, size=problem.y0.shape) * 2 - 1
    elif regularizer.name == "steer":
        found = {STRETCH: 1.0 + coefficient * random.uniform(-1.0, 1.0)}
    elif regularizer.name == "local":
        times = local_times(problem, regularizer)
        chosen = random.choice(len(times), p=shares)
        row = np.searchsorted(_all_saves(problem, times), times[chosen])
        return {
            COEFFICIENT: np.asarray(coefficient, problem.dtype),
            TIME: np.asarray(times[chosen], problem.dtype),
            ROW: np.asarray([row]),
        }
    return {name: np.asarray(value, problem.dtype) for name, value in found.items()}


def local_times(problem: Problem, regularizer: Regularizer) -> np.ndarray:
    """The times that ``"local"`` draws from, in the middles of equal parts of the span."""
    t0, t1 = problem.t_span[0], float(problem.save_at[-1])
    middles = (np.arange(regularizer.times) + 0.5) / regularizer.times
    return (t0 + middles * (t1 - t0)).astype(problem.dtype)


def shares_of_steps(problem: Problem, regularizer: Regularizer, accepted: np.ndarray) -> np.ndarray:
    """The share of the accepted times in the part of the span around each local time."""
    t0, t1 = problem.t_span[0], float(problem.save_at[-1])
    counts, _ = np.histogram(accepted, bins=regularizer.times, range=(t0, t1))
    return counts / max(1, counts.sum())


def penalty_along_path(
    regularizer: Regularizer, rhs: Callable[..., Array], t: Array, y: Array, p: Named
) -> tuple[Array, Array]:
    """The right-hand side, and the rate of the penalty, one number for each row of the state."""
    xp = array_namespace(y)
    if regularizer.name == "kinetic":
        slope = measured = rhs(t, y, p)
    elif regularizer.name == "jacobian":
        slope, measured = jacobian_product(lambda t, y: rhs(t, y, p), t, y, p[NOISE])
    else:
        derivatives = time_derivatives(lambda t, y: rhs(t, y, p), t, y, regularizer.order)
        slope, measured = derivatives[0], derivatives[-1]
    return slope, xp.mean(measured * measured, axis=-1)


def local_error(
    rhs: Callable[..., Array],
    tab: Tableau,
    t: Array,
    y: Array,
    p: Named,
    span: Array,
    rtol: Any,
    atol: Any,
) -> Array:
    """E h of one step from ``(t, y)``; only the parameters within the step are differentiated.

    The step size is Hairer's first one there, as for a solver that starts anew.
    """
    y = hold(y)
    start = hold(rhs(t, y, p))
    scale = error_scale(y, y, rtol, atol)
    h = hold(first_step(rhs, t, y, start, p, scale, span, tab.error_order))
    y1, stages = step_stages(rhs, tab, t, y, h, p, start)
    stages = [*stages, rhs(t + h, y1, p)]
    return h * embedded_error(error_slopes(tab, stages), h, error_scale(y, y1, rtol, atol))


def _along_path(problem: Problem, regularizer: Regularizer, drawn: Named) -> Problem:
    if problem.y0.ndim == 0:
        raise ValueError(
            f"regularizer={regularizer.name!r} appends a component to the state, and the state of "
            f"problem {problem.name!r} is a single number; give it the shape (1,)"
        )

    def rhs(t: Array, z: Array, p: Named) -> Array:
        slope, rate = penalty_along_path(regularizer, problem.rhs, t, z[..., :-1], p)
        return array_namespace(z).concat([slope, rate[..., None]], axis=-1)

    def loss(ys: Array, p: Named) -> Array:
        penalty = array_namespace(ys).mean(ys[-1, ..., -1])
        return problem.loss(ys[..., :-1], p) + p[COEFFICIENT] * penalty

    jump = problem.jump

    def jumped(i: int, t: Array, z: Array, p: Named) -> Array:
        assert jump is not None
        y = jump(i, t, z[..., :-1], p)
        return array_namespace(z).concat([y, z[..., -1:]], axis=-1)

    return _changed(
        problem,
        drawn,
        rhs=rhs,
        loss=loss,
        y0=extended(problem.y0),
        jump=None if jump is None else jumped,
        jacobian=None,
        jacobian_sparsity=None,
    )


def extended(y0: Array) -> Array:
    """A start value with one more component, zero, on its last axis."""
    xp = array_namespace(y0)
    return xp.concat([y0, xp.zeros_like(y0[..., :1])], axis=-1)


def _steered(problem: Problem, drawn: Named) -> Problem:
    """Time runs faster or slower, so that the same span ends earlier or later."""
    if len(problem.save_at) > 1 or problem.discontinuities or problem.jump_times:
        raise ValueError(
            f"regularizer='steer' moves the end of the span, and problem {problem.name!r} has "
            "saves, jumps or discontinuities before it; use a problem with one save and none"
        )
    t0 = problem.t_span[0]

    def rhs(t: Array, y: Array, p: Named) -> Array:
        stretch = p[STRETCH]
        return stretch * problem.rhs(t0 + stretch * (t - t0), y, p)

    return _changed(problem, drawn, rhs=rhs, jacobian=None, jacobian_sparsity=None)


def _with_local_error(
    problem: Problem, regularizer: Regularizer, drawn: Named, tab: Tableau, rtol: Any, atol: Any
) -> Problem:
    saves = _all_saves(problem, local_times(problem, regularizer))
    rows = np.searchsorted(saves, problem.save_at)
    end = float(problem.save_at[-1])

    def loss(ys: Array, p: Named) -> Array:
        xp = array_namespace(ys)
        t, y = p[TIME], xp.take(ys, p[ROW], axis=0)[0, ...]
        tolerances = _like(rtol, y), _like(atol, y)
        penalty = local_error(problem.rhs, tab, t, y, p, end - t, *tolerances)
        return problem.loss(xp.take(ys, p[ROWS], axis=0), p) + p[COEFFICIENT] * penalty

    return _changed(problem, {**drawn, ROWS: rows}, loss=loss, save_at=saves)


def _all_saves(problem: Problem, times: np.ndarray) -> np.ndarray:
    return np.union1d(problem.save_at, times)


def _like(tolerance: Any, y: Array) -> Any:
    if np.ndim(tolerance) == 0:
        return float(tolerance)
    return array_namespace(y).asarray(tolerance, dtype=y.dtype, device=device(y))


def _changed(problem: Problem, constants: Named, **changes: Any) -> Problem:
    """`problem` with other fields, unchecked: the checks call functions on NumPy arrays."""
    new = copy.copy(problem)
    for name, value in {**changes, "constants": {**problem.constants, **constants}}.items():
        object.__setattr__(new, name, value)
    return new
