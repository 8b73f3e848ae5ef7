"""Gradients on the one given path, by which errors are told: that of the open solver."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

from ....problems.stochastic import SdeProblem


def increment(problem: SdeProblem, key: Any, start: Any, end: Any) -> Any:
    """Increment and space-time area of the open solver's path, with no save between the times."""
    from ....adjoints.jax.sde import BrownianPath

    path = BrownianPath(key, problem.y0, problem.save_at, problem.t_span[0])
    return tuple(path.between(start, end))


@functools.cache
def diffrax_on_given_path(
    problem: SdeProblem, adjoint: str, solver: str, kind: str, max_steps: int
) -> Callable[..., Any]:
    """Diffrax's gradient on the given path: one program for all steps, or for all tolerances.

    It is never timed. Called with the step or the tolerance, as `kind` says, then with parameters,
    a start value and the number of the path.
    """
    import jax

    from ....adjoints.peers import diffrax_sde

    (t0, t1), read = problem.t_span, partial(increment, problem)
    make = partial(diffrax_sde.loss_function, problem, adjoint=adjoint, solver=solver)

    def run(size: Any, params: Any, y0: Any, number: Any) -> Any:
        path = diffrax_sde.GivenPath(key=jax.random.key(number), increment=read, t0=t0, t1=t1)
        return reverse_gradient(make(max_steps=max_steps, **{kind: size}), params, y0, path)

    return jax.jit(run)


def reverse_gradient(loss: Callable[..., Any], params: Any, y0: Any, path: Any) -> Any:
    """By parameters and start value in reverse mode, and what the loss reports."""
    import jax

    (_, report), slopes = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, y0, path)
    return slopes, report
