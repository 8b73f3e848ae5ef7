"""Cultures that grow to one limit, at one rate, each watched at times of its own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from fitting import Fit, Integrate, fit, here


def rhs(t: Any, size: Any, weights: Any) -> Any:
    """Logistic growth."""
    return jnp.exp(weights["rate"]) * size * (1 - size / jnp.exp(weights["limit"]))


def train(integrate: Integrate = here, steps: int = 10) -> Fit:
    """Fit rate and limit to twelve cultures over spans of 1 to 8, all in one batch."""
    with jax.enable_x64(True):
        starts = jnp.linspace(0.05, 0.6, 12)
        times = jnp.linspace(1.0, 8.0, 12)[:, None] * jnp.linspace(0.1, 1.0, 10)
        data = 2 / (1 + (2 / starts[:, None] - 1) * jnp.exp(-1.5 * times))

        def loss(weights: Any) -> Any:
            sizes = jax.vmap(lambda y, ts: integrate(rhs, y, ts, weights))(starts, times)
            return jnp.mean((sizes - data) ** 2)

        return fit(loss, {"rate": jnp.zeros(()), "limit": jnp.zeros(())}, steps, rate=0.1)
