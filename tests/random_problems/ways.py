"""The ways to a gradient that are tried: methods of the table, and ``solve`` with an adjoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from grammar import Drawn

import adjointbench as ab
from adjointbench.adjoints.jax import solve as solve_jax
from adjointbench.adjoints.result import STATUSES
from adjointbench.adjoints.torch import solve as solve_torch

#: These leave an error that no tolerance controls.
FIXED_STEPS = ("euler", "rk4", "implicit_midpoint")
SOLVERS = {"torch": ("tsit5", "dopri5", "dop853", "rodas5p"), "jax": ("tsit5", "rodas5p")}
#: More than any of these problems needs.
MAX_STEPS = 3000


class Found(NamedTuple):
    """Status and gradient in the problem's units; ``slopes["y0"]`` is that by the start value."""

    status: str
    slopes: dict[str, np.ndarray]


class Way(NamedTuple):
    """A method of the table, or an adjoint of ``solve``, with a solver."""

    name: str
    solver: str

    def __call__(self, problem: Drawn, rtol: float) -> Found:
        """Status and gradient of `problem`."""
        tolerances = {"rtol": rtol, "atol": 1e-3 * rtol * problem.state_unit}
        framework, _, adjoint = self.name.partition(" solve ")
        if adjoint:
            by_solve = {"jax": _by_solve_of_jax, "torch": _by_solve_of_torch}[framework]
            return by_solve(problem, adjoint, {"solver": self.solver, **tolerances})
        found = ab.gradient(
            problem.problem(), self.name, solver=self.solver, max_steps=MAX_STEPS, **tolerances
        )
        return Found(found.status, {**found.dparams, "y0": found.dy0})


def methods(*backends: str) -> list[Way]:
    """Every method of our own on these backends with every solver that controls its error."""
    return [
        Way(m.name, solver)
        for m in ab.methods()
        if m.backend in backends and m.family != "peers"
        for solver in m.solvers
        if solver not in FIXED_STEPS
    ]


def adjoints(framework: str) -> list[Way]:
    """The adjoints of ``solve``."""
    kinds = ["discrete", "forward", "backsolve", "interpolating", "quadrature"]
    kinds += ["tape"] if framework == "torch" else ["gauss"]
    return [Way(f"{framework} solve {kind}", s) for kind in kinds for s in SOLVERS[framework]]


def _loss_by_solve(solve: Callable[..., Any], problem: Drawn, options: dict[str, Any]) -> Any:
    saves = [problem.exact_time(at) for at in problem.saves]

    def loss(p: dict[str, Any]) -> tuple[Any, Any]:
        given = {"t0": problem.exact_time(0), "max_steps": MAX_STEPS, **problem.stops, **options}
        solution = solve(problem.rhs, p["y0"], saves, p, **given)
        return problem.loss_of(solution.ys, p), solution.status_code

    return loss


def _inputs(problem: Drawn) -> dict[str, np.ndarray]:
    return {**problem.params, "weights": problem.weights, "y0": problem.start_value}


def _by_solve_of_torch(problem: Drawn, adjoint: str, options: dict[str, Any]) -> Found:
    loss = _loss_by_solve(solve_torch, problem, {"adjoint": adjoint, **options})
    p = {name: torch.tensor(value) for name, value in _inputs(problem).items()}
    transform = torch.func.jacfwd if adjoint == "forward" else torch.func.grad
    slopes, status = transform(loss, has_aux=True)(p)
    return Found(STATUSES[int(status)], {name: slope.numpy() for name, slope in slopes.items()})


def _by_solve_of_jax(problem: Drawn, adjoint: str, options: dict[str, Any]) -> Found:
    loss = _loss_by_solve(solve_jax, problem, {"adjoint": adjoint, **options})
    transform = jax.jacfwd if adjoint == "forward" else jax.grad
    with jax.enable_x64(not problem.single):
        p = {name: jnp.asarray(value) for name, value in _inputs(problem).items()}
        slopes, status = jax.jit(transform(loss, has_aux=True))(p)
        return Found(STATUSES[int(status)], {k: np.asarray(v) for k, v in slopes.items()})
