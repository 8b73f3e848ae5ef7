"""Gradients as a user takes them: through `solve` of JAX or of PyTorch, by one of its engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...problems import Problem
from .measure import ATOL_SCALE
from .timing import NUDGE, TimedCall, timed


class UserGradient(NamedTuple):
    """A gradient, warmed up, and what it was by the parameters."""

    call: TimedCall
    dparams: dict[str, np.ndarray]


def by_jax(problem: Problem, rtol: float, engine: str = "auto") -> UserGradient:
    """``jit(grad)`` around JAX's `solve`."""
    import jax

    from ...adjoints.jax import solve

    rhs, options = _with_constants(problem, problem.constants), _options(problem, rtol)

    def loss(params: Any, y0: Any) -> Any:
        ys = solve(rhs, y0, problem.save_at, params, engine=engine, **options).ys
        return problem.loss(ys, params)

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)))
    with jax.enable_x64(True):
        inputs = different_inputs(problem, jax.numpy.asarray)
        timed_call = timed(gradient, inputs, jax.block_until_ready)
        dparams = _as_numpy(gradient(*inputs[0])[0])

    def call(number: int) -> float:
        with jax.enable_x64(True):
            return timed_call(number)

    return UserGradient(call, dparams)


def by_torch(problem: Problem, rtol: float, engine: str = "auto") -> UserGradient:
    """``backward`` through PyTorch's `solve`."""
    import torch

    from ...adjoints.torch import solve

    constants = {name: torch.as_tensor(value) for name, value in problem.constants.items()}
    rhs, options = _with_constants(problem, constants), _options(problem, rtol)

    def gradient(params: dict[str, Any], y0: Any) -> dict[str, Any]:
        leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
        start = y0.detach().requires_grad_()
        ys = solve(rhs, start, problem.save_at, leaves, engine=engine, **options).ys
        problem.loss(ys, leaves).backward()
        return {name: leaf.grad for name, leaf in leaves.items()}

    inputs = different_inputs(problem, torch.as_tensor)
    return UserGradient(timed(gradient, inputs), _as_numpy(gradient(*inputs[0])))


def different_inputs(problem: Problem, place: Callable[[Any], Any]) -> list[tuple[Any, Any]]:
    """Parameters and start value as arrays of a framework, other ones for each call."""
    factors = 1.0 + NUDGE * np.arange(8)
    return [
        ({name: place(value * f) for name, value in problem.params.items()}, place(problem.y0))
        for f in factors
    ]


def _with_constants(problem: Problem, constants: Any) -> Callable[..., Any]:
    """The right-hand side as a function of what is differentiated."""
    return lambda t, y, params: problem.rhs(t, y, {**params, **constants})


def _options(problem: Problem, rtol: float) -> dict[str, Any]:
    solver = "rodas5p" if problem.stiff else "tsit5"
    return {"solver": solver, "rtol": rtol, "atol": rtol * ATOL_SCALE}


def _as_numpy(dparams: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in dparams.items()}
