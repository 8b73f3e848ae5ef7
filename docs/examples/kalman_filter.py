"""A Kalman-Bucy filter: the model of a spring that shakes, fitted to how likely it makes a record.

The state is a tuple: mean and covariance of position and speed, and the logarithm of the likelihood
against pure noise. The equations are closures over the values that are fitted.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from fitting import Fit, Integrate, fit, here

NOISE = 0.05  # the spectral density of what disturbs the record


def record(t: Any) -> Any:
    """Positions as an instrument tells them."""
    return jnp.exp(-0.1 * t) * jnp.cos(2 * t) + 0.1 * jnp.sin(9 * t)


def evidence(integrate: Integrate, weights: Any) -> Any:
    """The logarithm of the likelihood of the record."""
    stiffness, friction, shaking = jnp.exp(weights)
    drift = jnp.array([[0.0, 1.0], [0.0, 0.0]]).at[1].set(-jnp.stack([stiffness, friction]))

    def rhs(t: Any, state: Any, args: Any) -> Any:
        mean, covariance, _ = state
        gain, seen = covariance[:, 0] / NOISE, record(t)
        moved = drift @ mean + gain * (seen - mean[0])
        spread = drift @ covariance + covariance @ drift.T - NOISE * jnp.outer(gain, gain)
        likelier = (seen * mean[0] - mean[0] ** 2 / 2) / NOISE
        return moved, spread.at[1, 1].add(shaking), likelier

    start = jnp.zeros(2), jnp.eye(2), jnp.zeros(())
    return integrate(rhs, start, jnp.array([10.0]), None)[2][-1]


def train(integrate: Integrate = here, steps: int = 10) -> Fit:
    """Fit stiffness, friction and shaking, from what none of them is."""
    with jax.enable_x64(True):
        return fit(lambda weights: -evidence(integrate, weights), jnp.zeros(3), steps, rate=0.1)
