"""A fit of the rates of a stiff model, Robertson's reactions, from ten times over five decades."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from fitting import Fit, Integrate, fit, here
from scipy.integrate import solve_ivp

RATES = (0.04, 3e7, 1e4)


def rhs(t: Any, y: Any, logarithms: Any) -> Any:
    """Robertson's reactions, with the logarithms of their rates."""
    slow, fast, back = jnp.exp(logarithms)
    first, second = slow * y[0] - back * y[1] * y[2], fast * y[1] ** 2
    return jnp.stack([-first, first - second, second])


def train(integrate: Integrate = here, steps: int = 10) -> Fit:
    """Fit all three rates, from half and from twice of what they are."""
    with jax.enable_x64(True):
        start, unit = jnp.array([1.0, 0.0, 0.0]), jnp.array([1.0, 1e-5, 1.0])
        times, true = jnp.logspace(-2, 3, 10), jnp.log(jnp.array(RATES))
        told = {"t_eval": times, "rtol": 1e-6, "atol": 1e-10, "args": (true,)}
        data = solve_ivp(jax.jit(rhs), (0.0, 1e3), start, "Radau", **told).y.T

        def loss(logarithms: Any) -> Any:
            ys = integrate(rhs, start, times, logarithms, stiff=True)
            return jnp.mean(((ys - data) / unit) ** 2)

        return fit(loss, true + jnp.log(jnp.array([2.0, 0.5, 2.0])), steps, rate=5e-2)
