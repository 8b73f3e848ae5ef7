"""Gradients of many lanes at once, as users of each library take them.

Each is a function of the lanes' parameters, arrays with a leading axis, and of the tolerance, that
returns the gradient of the sum of all losses. What is batched how:

- *JAX*: ``vmap`` of the gradient of one lane, compiled; each lane has its own steps;
- *torch-discrete*: all lanes as one state, which share their steps;
- *torchode*, *gradsolve*: their own batches, in which each lane has its own steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....problems import Problem
from ..measure import ATOL_SCALE
from . import lanes

Lanes = Mapping[str, Any]

#: Attempts allowed to each lane.
MAX_STEPS = 4096


@dataclass(frozen=True)
class Batched:
    """``gradient(lanes, rtol) -> gradients``, how its lanes are made, and when it is done."""

    gradient: Callable[[Any, float], Any]
    place: Callable[[Lanes], Any]
    wait: Callable[[Any], Any] = lambda result: result


def batched_gradient(problem: Problem, method: str) -> Batched:
    """The gradient of the sum of the losses of lanes, by one of the methods of the study."""
    return _WAYS[method](problem)


def _open_jax(problem: Problem) -> Batched:
    from ....adjoints.jax import solve

    def ys(y0: Any, p: Lanes, rtol: Any) -> Any:
        tolerances = {"rtol": rtol, "atol": rtol * ATOL_SCALE}
        return solve(
            problem.rhs,
            y0,
            problem.save_at,
            p,
            t0=problem.t_span[0],
            max_steps=MAX_STEPS,
            **tolerances,
        ).ys

    return _vmapped(problem, ys)


def _diffrax(problem: Problem) -> Batched:
    import diffrax

    saves: Any = problem.save_at

    def ys(y0: Any, p: Lanes, rtol: Any) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(problem.rhs),
            diffrax.Tsit5(),
            *problem.t_span,
            None,
            y0,
            p,
            saveat=diffrax.SaveAt(ts=saves),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol * ATOL_SCALE),
            max_steps=MAX_STEPS,
        ).ys

    return _vmapped(problem, ys)


def _vmapped(problem: Problem, ys: Callable[[Any, Lanes, Any], Any]) -> Batched:
    """Compiled once for each number of lanes."""
    import jax
    import jax.numpy as jnp

    def loss(p: Lanes, rtol: Any) -> Any:
        return problem.loss(ys(jnp.asarray(problem.y0), p, rtol), p)

    gradients = jax.vmap(jax.grad(loss), in_axes=(0, None))

    @functools.cache
    def compiled(number: int) -> Any:
        with jax.enable_x64(True):
            many = _on_cpu(lanes.lanes_of(problem, number))
            return jax.jit(gradients).lower(many, tolerance(1.0)).compile()

    @functools.cache
    def tolerance(rtol: float) -> Any:
        return _on_cpu(np.float64(rtol))

    def gradient(p: Lanes, rtol: float) -> Any:
        return compiled(_number(p))(p, tolerance(rtol))

    return Batched(gradient, _on_cpu, jax.block_until_ready)


def _open_torch(problem: Problem) -> Batched:
    import torch

    from ....adjoints.torch import solve

    times = torch.as_tensor(problem.save_at)

    def ys(rhs: Any, y0: Any, p: Lanes, rtol: float) -> Any:
        # One state of all lanes, which share the size of their steps.
        return solve(rhs, y0, times, dict(p), rtol=rtol, atol=rtol * ATOL_SCALE).ys

    return _eager(problem, ys)


def _torchode(problem: Problem) -> Batched:
    import torch
    import torchode

    # Its classes declare other types than they take.
    library: Any = torchode
    times = torch.as_tensor(np.concatenate([problem.t_span[:1], problem.save_at]))

    def ys(rhs: Any, y0: Any, p: Lanes, rtol: float) -> Any:
        term = library.ODETerm(lambda t, y: rhs(t, y, p))
        control = library.IntegralController(rtol * ATOL_SCALE, rtol)
        adjoint = library.AutoDiffAdjoint(library.Tsit5(), control, max_steps=MAX_STEPS)
        ivp = library.InitialValueProblem(y0, t_eval=times.expand(len(y0), -1))
        return adjoint.solve(ivp, term).ys.transpose(0, 1)[1:]

    return _eager(problem, ys)


def _eager(problem: Problem, ys: Callable[[Any, Any, Lanes, float], Any]) -> Batched:
    """Autograd through one solve of all lanes; ``ys`` of shape ``(saves, lanes, n)``."""
    import torch

    def rhs(t: Any, y: Any, p: Lanes) -> Any:
        # The equations index the components first; the lanes go along behind.
        return problem.rhs(t, y.T, {name: value.T for name, value in p.items()}).T

    def gradient(p: Lanes, rtol: float) -> Any:
        leaves = {name: value.detach().requires_grad_() for name, value in p.items()}
        number = len(next(iter(leaves.values())))
        y0 = torch.as_tensor(problem.y0).expand(number, -1)
        found = ys(rhs, y0, leaves, rtol)
        total = torch.func.vmap(problem.loss, in_dims=(1, 0))(found, leaves).sum()
        return dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True))

    return Batched(gradient, lambda p: {k: torch.as_tensor(v) for k, v in p.items()})


def _recorded_anew(problem: Problem) -> Batched:
    return _gradsolve(problem, anew=True)


def _recorded_once(problem: Problem) -> Batched:
    return _gradsolve(problem, anew=False)


def _gradsolve(problem: Problem, *, anew: bool) -> Batched:
    """Steps recorded by the solver for all lanes, and their replay, which JAX reverses.

    For losses of the last state; without `anew` what was recorded first is replayed always.
    """
    import jax
    import jax.numpy as jnp

    from ....adjoints.peers.gradsolve_recorder import ROOM, SOLVERS, equations_of, padded
    from ....adjoints.peers.gradsolve_recorder import record_adaptive_jax as record

    method, replay = SOLVERS["tsit5"]
    equations = equations_of(problem)
    kept: dict[tuple[int, float], Any] = {}

    def flat(p: Lanes) -> tuple[Any, Any]:
        """The start values and the parameters of all lanes, a row each."""
        theta = [p[name].reshape(len(p[name]), -1) for name in problem.params]
        start = jnp.broadcast_to(problem.y0.ravel(), (len(theta[0]), problem.n_states))
        return start, jnp.concatenate(theta, axis=1)

    def total(p: Lanes, sizes: Any) -> Any:
        start, theta = flat(p)
        ys = replay(equations, start, theta, sizes)
        return jax.vmap(lambda y, theta: equations.loss(y[None], theta))(ys, theta).sum()

    def recorded(p: Lanes, rtol: float) -> Any:
        # What it held the last time, so that it does not look for the room again.
        before = kept.get((_number(p), rtol))
        most = {"max_steps": MAX_STEPS, "cap0": ROOM if before is None else before.shape[1]}
        tolerances = {"rtol": rtol, "atol": rtol * ATOL_SCALE}
        sizes = record(method, equations.f_jax, *flat(p), *problem.t_span, **tolerances, **most)[1]
        return np.pad(sizes, ((0, 0), (0, padded(sizes.shape[1]) - sizes.shape[1])))

    compiled = jax.jit(jax.grad(total))

    def gradient(p: Lanes, rtol: float) -> Any:
        key = (_number(p), rtol)
        with jax.enable_x64(True):
            if anew or key not in kept:
                kept[key] = recorded(p, rtol)
            return compiled(p, kept[key])

    return Batched(gradient, _on_cpu, jax.block_until_ready)


def _number(p: Lanes) -> int:
    """How many lanes there are."""
    return len(next(iter(p.values())))


def _on_cpu(value: Any) -> Any:
    """Arrays of JAX, in the precision that they have."""
    import jax

    with jax.enable_x64(True):
        return jax.device_put(value, jax.devices("cpu")[0])


_WAYS: dict[str, Callable[[Problem], Batched]] = {
    "jax-discrete": _open_jax,
    "torch-discrete": _open_torch,
    "diffrax-recursive-checkpoint": _diffrax,
    "torchode-autodiff": _torchode,
    "gradsolve-record-replay": _recorded_anew,
    "gradsolve-replay": _recorded_once,
}
