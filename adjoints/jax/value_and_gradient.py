"""``value_and_gradient``: a loss through ``solve``, its gradient, and how far that is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..error_bars.distance import log_parameter_scale, relative_distance
from ..steps.runge_kutta import Rhs
from .continuous import CONTINUOUS
from .solution import Solution
from .solve import solve
from .solvers import find_solver
from .user_functions import split_params

Tree = Any


def value_and_gradient(
    loss: Callable[[jax.Array, Tree], jax.Array],
    rhs: Rhs,
    y0: Any,
    save_at: Any,
    params: Tree,
    **options: Any,
) -> tuple[jax.Array, Tree, jax.Array]:
    """A loss, its gradient with respect to `params`, and the gradient's estimated relative error.

    The gradient is taken a second time on the same steps cut in two, which costs two gradients
    more. Composes with ``jit`` and ``vmap``, where every lane has an estimate of its own.

    Parameters
    ----------
    loss : callable
        ``loss(ys, params)``, a number.
    rhs, y0, save_at, params
        As for :func:`~adjointbench.adjoints.jax.solve`.
    **options
        Further arguments of ``solve``, but for ``steps`` and ``adjoint="forward"``.

    Returns
    -------
    tuple
        The loss, the gradient in the form of `params` (what is no array in it stays as it is, other
        arrays have zeros), and the estimate: of the difference to the
        true gradient in the norm of log-parameters. NaN where the solver broke down.
    """
    own, constants, merged = split_params(params)

    def total(own: list[jax.Array], given: dict[str, Any]) -> tuple[jax.Array, Solution]:
        tree = merged(own, constants)
        solution = solve(rhs, y0, save_at, tree, **{**options, **given})
        return loss(solution.ys, tree), solution

    differentiated = jax.value_and_grad(total, has_aux=True)
    (value, solution), gradient = differentiated(own, {})
    order = find_solver(options.get("solver", "tsit5")).tableau.order
    _, finer = differentiated(own, _finer(solution, 2.0**order, options))
    distance = relative_distance(gradient, finer, log_parameter_scale(own, finer))
    form = merged(gradient, [jnp.zeros_like(leaf) for leaf in constants])
    return value, form, distance / (1 - 2.0**-order)


def _finer(solution: Solution, gain: float, options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a solve on the same steps cut in two."""
    t, h = solution.padded_steps[:, 0], solution.padded_steps[:, 1]
    half = h / 2
    starts = jnp.stack([t, t + half], axis=1).ravel()
    given: dict[str, Any] = {"steps": (starts, jnp.repeat(half, 2))}
    if options.get("adjoint", "discrete") in CONTINUOUS:
        for argument, default in (("rtol", 1e-6), ("atol", 1e-9)):
            own = options.get(f"adjoint_{argument}")
            own = options.get(argument, default) if own is None else own
            given[f"adjoint_{argument}"] = jnp.asarray(own) / gain
    return {**given, "differentiate_step_size": False}
