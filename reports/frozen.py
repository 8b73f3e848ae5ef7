"""The other meaning of accuracy: against the derivative of the very steps that were accepted.

With its steps frozen a solve is a smooth function of the parameters, whatever the true solution
does, and finite differences of it can be extrapolated to near rounding.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..adjoints.gradient import Settings, prepare
from ..problems import Problem
from .errors import relative_error

#: Directions in which the two derivatives are compared, and the largest relative change.
DIRECTIONS, LARGEST_CHANGE = 4, 1e-3

#: Halvings of the change, each of which removes one more power of it from the error.
HALVINGS = 4


def frozen_step_error(problem: Problem, method: str, **settings: Any) -> float:
    """Relative error of a method's gradient against that of the frozen accepted steps.

    Parameters
    ----------
    problem : Problem
    method : str
        A method of the open JAX solver, whose forward solves all take the same steps.
    **settings
        As for :func:`adjointbench.prepare`.

    Returns
    -------
    float
        Over a few seeded random directions of relative changes of the parameters; NaN where
        the solver breaks down.

    Raises
    ------
    ValueError
        Where the method refuses the problem.
    """
    run = prepare(problem, method, **settings)
    result = run()
    if result.status != "ok":
        return float("nan")
    replay = _replay(problem, run.settings)
    exact, taken = [], []
    for direction in _directions(problem):
        exact.append(extrapolated_derivative(lambda e, d=direction: replay(_moved(problem, e, d))))
        taken.append(sum(float((result.dparams[k] * v).sum()) for k, v in direction.items()))
    return relative_error(np.array(taken), np.array(exact))


def extrapolated_derivative(function: Callable[[float], float]) -> float:
    """The derivative of `function` at zero: central differences, extrapolated by Romberg."""
    changes = [LARGEST_CHANGE / 2**k for k in range(HALVINGS)]
    values = [(function(e) - function(-e)) / (2 * e) for e in changes]
    for power in range(1, HALVINGS):
        weight = 4.0**power
        values = [
            (weight * fine - coarse) / (weight - 1) for coarse, fine in itertools.pairwise(values)
        ]
    return values[0]


def _directions(problem: Problem) -> list[dict[str, np.ndarray]]:
    """Random relative changes of all parameters; parameters that are zero change by as much."""
    rng = np.random.default_rng(0)
    return [
        {
            name: rng.standard_normal(value.shape) * np.where(value == 0, 1.0, value)
            for name, value in problem.params.items()
        }
        for _ in range(DIRECTIONS)
    ]


def _moved(
    problem: Problem, change: float, direction: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    return {
        name: (value + change * direction[name]).astype(problem.dtype)
        for name, value in problem.params.items()
    }


def _replay(problem: Problem, settings: Settings) -> Callable[[dict[str, np.ndarray]], float]:
    """The loss as a function of the parameters, with the accepted steps taken again."""
    import jax

    from ..adjoints.jax import solve

    def solution(params: Any, steps: Any = None) -> Any:
        return solve(
            problem.rhs,
            problem.y0,
            problem.save_at,
            {**params, **problem.constants},
            t0=problem.t_span[0],
            solver=settings.solver,
            rtol=settings.rtol,
            atol=settings.atol,
            max_steps=settings.max_steps,
            first_step=settings.first_step,
            discontinuities=problem.discontinuities,
            jump_times=problem.jump_times,
            jump=problem.jump,
            steps=steps,
        )

    with jax.enable_x64(True):
        steps = solution(problem.params).steps
        loss = jax.jit(lambda p: problem.loss(solution(p, steps).ys, {**p, **problem.constants}))

    def replay(params: dict[str, np.ndarray]) -> float:
        with jax.enable_x64(True):
            return float(loss(params))

    return replay
