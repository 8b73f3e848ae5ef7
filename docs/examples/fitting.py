"""What the JAX programs share: a network, a training, and the two calls that are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import optax

from adjointbench.adjoints.jax import solve

#: ``integrate(rhs, y0, times, args, t0=, stiff=)``: the solution at the times.
Integrate = Callable[..., Any]
TOLERANCES: Any = {"rtol": 1e-6, "atol": 1e-8}


def in_diffrax(
    rhs: Any, y0: Any, times: Any, args: Any, *, t0: float = 0.0, stiff: bool = False
) -> Any:
    """By diffrax, with its default adjoint."""
    return diffrax.diffeqsolve(
        diffrax.ODETerm(rhs),
        diffrax.Kvaerno5() if stiff else diffrax.Tsit5(),
        t0=t0,
        t1=times[-1],
        dt0=None,
        y0=y0,
        args=args,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(**TOLERANCES),
    ).ys


def here(rhs: Any, y0: Any, times: Any, args: Any, *, t0: float = 0.0, stiff: bool = False) -> Any:
    """The same with ``solve``."""
    solver = "kvaerno5" if stiff else "tsit5"
    return solve(rhs, y0, times, args, t0=t0, solver=solver, **TOLERANCES).ys


class Fit(NamedTuple):
    """The losses of a training, and the milliseconds of a step."""

    losses: list[float]
    milliseconds: float


def fit(loss: Callable[[Any], Any], weights: Any, steps: int, *, rate: float = 1e-2) -> Fit:
    """Train `weights` by Adam; the first step, which compiles, does not count in the time."""
    optimiser = optax.adam(rate)

    @jax.jit
    def update(weights: Any, state: Any) -> Any:
        value, slopes = jax.value_and_grad(loss)(weights)
        moves, state = optimiser.update(slopes, state)
        return optax.apply_updates(weights, moves), state, value

    state, losses, taken = optimiser.init(weights), [], []
    for _ in range(steps):
        began = time.perf_counter()
        weights, state, value = update(weights, state)
        losses.append(float(value))
        taken.append(time.perf_counter() - began)
    return Fit(losses, 1e3 * statistics.median(taken[1:] or taken))


def new_network(key: Any, *widths: int) -> list[tuple[Any, Any]]:
    """Weights and offsets of a network with layers of so many units."""
    keys = jax.random.split(key, len(widths) - 1)
    sizes = zip(keys, widths[:-1], widths[1:], strict=True)
    return [(jax.random.normal(k, (m, n)) / jnp.sqrt(n), jnp.zeros(m)) for k, n, m in sizes]


def network(layers: Any, x: Any) -> Any:
    """A network with tanh between its layers."""
    for weight, offset in layers[:-1]:
        x = jnp.tanh(weight @ x + offset)
    weight, offset = layers[-1]
    return weight @ x + offset
