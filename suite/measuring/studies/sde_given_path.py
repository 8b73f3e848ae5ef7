"""Gradients on the one given path, by which errors are told: that of the open solver."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

from ....problems.stochastic import SdeProblem
from .sde_losses import gradient_of, loss_of

#: The least that XLA does to a program compiles in half the time; these are run a few times.
QUICKLY_COMPILED = {"xla_backend_optimization_level": 0}


def increment(problem: SdeProblem, key: Any, start: Any, end: Any) -> Any:
    """Increment and space-time area of the open solver's path, with no save between the times."""
    from ....adjoints.jax.sde import BrownianPath

    path = BrownianPath(key, problem.y0, problem.save_at, problem.t_span[0])
    return tuple(path.between(start, end))


@functools.cache
def on_given_path(
    library: str, problem: SdeProblem, adjoint: str, solver: str, kind: str, max_steps: int
) -> Callable[..., Any]:
    """The gradient on the given path: one program for all steps, or for all tolerances.

    It is never timed. Called with the step or the tolerance, as `kind` says, then with parameters,
    a start value and the number of the path.
    """
    import jax

    wanted, settings = gradient_of(adjoint), {"adjoint": adjoint, "solver": solver}

    def run(size: Any, params: Any, y0: Any, number: Any) -> Any:
        loss = loss_of(library, problem, max_steps=max_steps, **settings, **{kind: size})
        return wanted(loss, params, y0, _path(library, problem, jax.random.key(number)))

    return jax.jit(run, compiler_options=QUICKLY_COMPILED)


def _path(library: str, problem: SdeProblem, key: Any) -> Any:
    """The path of a key as a library reads it."""
    if library == "jax":
        return key
    from ....adjoints.peers.diffrax_sde import GivenPath

    t0, t1 = problem.t_span
    return GivenPath(key=key, increment=partial(increment, problem), t0=t0, t1=t1)
