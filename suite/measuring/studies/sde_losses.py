"""Losses of stochastic problems by each library on JAX, and how their gradients are taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....problems.stochastic import SdeProblem

#: ``loss(params, y0, path)``, with what else there is to tell.
Loss = Callable[[Any, Any, Any], tuple[Any, dict[str, Any]]]


def loss_of(library: str, problem: SdeProblem, **settings: Any) -> Loss:
    """The loss of a problem by ``"jax"``, the open solver, or ``"diffrax"``.

    The path of the open solver is a key of JAX. `settings` are ``adjoint``, ``solver``,
    ``max_steps``, and ``step`` or ``tol``, which JAX may trace.
    """
    if library == "jax":
        return _open_loss(problem, **settings)
    from ....adjoints.peers import diffrax_sde

    return diffrax_sde.loss_function(problem, **settings)


def _open_loss(
    problem: SdeProblem,
    *,
    adjoint: str,
    solver: str,
    max_steps: int,
    step: Any = None,
    tol: Any = None,
) -> Loss:
    from ....adjoints.jax import solve_sde

    sizes: dict[str, Any] = {"step_size": step} if tol is None else {"rtol": tol, "atol": tol}

    def loss(params: Any, y0: Any, key: Any) -> tuple[Any, dict[str, Any]]:
        solution = solve_sde(
            problem.drift,
            problem.diffusion,
            y0,
            problem.save_at,
            problem.merged(params),
            key=key,
            t0=problem.t_span[0],
            solver=solver,
            adjoint=adjoint,
            max_steps=max_steps,
            **sizes,
        )
        report = {
            "ys": solution.ys,
            "steps": solution.stats["steps"],
            "rejected": solution.stats["rejected"],
            "ok": solution.status_code == 0,
        }
        return problem.loss(solution.ys, problem.merged(params)), report

    return loss


def gradient_of(adjoint: str) -> Callable[..., Any]:
    """What takes the gradient of a loss at ``(params, y0, path)``, and what the loss reports."""
    return _forward_gradient if adjoint == "forward" else _reverse_gradient


def _reverse_gradient(loss: Loss, params: Any, y0: Any, path: Any) -> Any:
    """By parameters and start value."""
    import jax

    (_, report), slopes = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, y0, path)
    return slopes, report


def _forward_gradient(loss: Loss, params: Any, y0: Any, path: Any) -> Any:
    """By parameters alone: as many tangents as there are parameters."""
    import jax
    import jax.numpy as jnp

    slopes, report = jax.jacfwd(loss, has_aux=True)(params, y0, path)
    return (slopes, jnp.full(y0.shape, jnp.nan)), report
