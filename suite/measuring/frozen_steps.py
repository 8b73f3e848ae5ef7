"""The other meaning of accuracy: against the derivative of the very steps that were accepted.

With its steps frozen a solve is a smooth function of the parameters, whatever the true solution
does, and finite differences of it can be extrapolated to near rounding.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...adjoints.gradient import prepare
from ...adjoints.methods import get_method
from ...adjoints.program import Settings, of_problem
from ...adjoints.regularizers.regularizer import Regularizer, estimates_of
from ...adjoints.result import GradientResult
from ...problems import Problem
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
    return frozen_step_errors(problem, (method,), **settings)[method]


def frozen_step_errors(
    problem: Problem, methods: Sequence[str], **settings: Any
) -> dict[str, float]:
    """The same of several methods, against one replay of the steps that they all take."""
    runs = {method: prepare(problem, method, **settings) for method in methods}
    replay = _replay(problem, runs[methods[0]].settings)
    return {method: _distance(problem, run(), replay) for method, run in runs.items()}


def adaptive_program_error(problem: Problem, method: str, **settings: Any) -> float:
    """The same against finite differences of the adaptive program, whose steps move as well."""
    run = prepare(problem, method, **settings)
    return _distance(problem, run(), run.primal)


def regularized_step_error(
    problem: Problem,
    method: str,
    regularizer: str | Regularizer,
    coefficient: float,
    **settings: Any,
) -> float:
    """The same for a loss with a regulariser of the accepted steps.

    A method that cannot see into the solver is compared all the same: its gradient is that of
    the loss alone, and what comes out is the share that it misses.

    Parameters
    ----------
    problem : Problem
    method : str
        Any method whose forward solve takes the steps of the open solvers.
    regularizer, coefficient
        As for :func:`adjointbench.prepare`.
    **settings
        Further ones.
    """
    penalty = {"regularizer": regularizer, "coefficient": coefficient}
    seen = prepare(problem, "jax-discrete", **penalty, **settings).settings
    assert seen.regularizer is not None
    sees = get_method(method).regularizes(seen.regularizer)
    result = prepare(problem, method, **(penalty if sees else {}), **settings)()
    return _distance(problem, result, _replay(problem, seen))


def _distance(
    problem: Problem, result: GradientResult, replay: Callable[[dict[str, np.ndarray]], float]
) -> float:
    """Between a gradient and the derivative of a replay, in a few directions."""
    if result.status != "ok":
        return float("nan")
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

    from ...adjoints.jax import solve

    error_norm, reduction = estimates_of(settings.regularizer)

    def solution(params: Any, steps: Any = None) -> Any:
        return solve(
            problem.rhs,
            problem.y0,
            problem.save_at,
            {**params, **problem.constants},
            **of_problem(problem),
            solver=settings.solver,
            rtol=settings.rtol,
            atol=settings.atol,
            max_steps=settings.max_steps,
            first_step=settings.first_step,
            steps=steps,
            error_norm=error_norm,
            reduction=reduction,
        )

    def total(params: Any, steps: Any) -> Any:
        found = solution(params, steps)
        terms = () if settings.regularizer is None else settings.regularizer.terms
        pairs = zip(settings.coefficient, terms, strict=False)
        loss = problem.loss(found.ys, {**params, **problem.constants})
        return loss + sum(c * found.estimates[term] for c, term in pairs)

    with jax.enable_x64(True):
        steps = solution(problem.params).steps
        loss = jax.jit(lambda p: total(p, steps))

    def replay(params: dict[str, np.ndarray]) -> float:
        with jax.enable_x64(True):
            return float(loss(params))

    return replay
