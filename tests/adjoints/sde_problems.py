"""Stochastic equations whose solutions, for a given Brownian path, are known."""

import jax
import jax.numpy as jnp
import numpy as np

from adjointbench.adjoints.jax.sde.tree import Tree


def gbm_drift(t, y, p):
    """Geometric Brownian motion."""
    return p["a"] * y


def gbm_diffusion(t, y, p):
    """Of geometric Brownian motion: proportional to the state."""
    return p["b"] * y


def ou_drift(t, y, p):
    """An Ornstein-Uhlenbeck process."""
    return -p["theta"] * y


def ou_diffusion(t, y, p):
    """Of the Ornstein-Uhlenbeck process: additive."""
    return p["sigma"] * jnp.ones_like(y)


def mixed_drift(t, y, p):
    """Of equations that depend on time and state in every term."""
    return p["a"] * y - jnp.sin(t + y)


def mixed_diffusion(t, y, p):
    """Of the same equations."""
    return p["b"] * jnp.cos(y) + t


GBM = {"a": np.array(0.5), "b": np.array(0.8)}
OU = {"theta": np.array(1.5), "sigma": np.array(0.7)}


def gbm_solution(t, w, p):
    """``y(t)`` from 1, and its derivatives by ``a`` and ``b``."""
    y = np.exp((p["a"] - p["b"] ** 2 / 2) * t + p["b"] * w)
    return y, t * y, (w - p["b"] * t) * y


def ou_solution(key, shape, p, level=10):
    """``y(1)`` from 1, and its derivative by ``theta``, by parts on fine cells of the path.

    ``int e^(theta s) dW = e^theta W(1) - theta int e^(theta s) W(s) ds``, in which the integrals of
    W over the cells are known from their space-time areas.
    """
    tree = Tree(shape, jnp.dtype(jnp.float64), level)
    first = jax.random.fold_in(key, jnp.int32(0))
    cells = jax.vmap(lambda i: tree.cell(first, jnp.int32(level), i))(
        jnp.arange(2**level, dtype=jnp.int32)
    )
    w, area = np.asarray(cells.w), np.asarray(cells.area)
    h = 2.0**-level
    before = np.cumsum(w, 0) - w
    integrals = h * (before + w / 2 + area)
    middle = (np.arange(2**level) + 0.5).reshape(-1, *(1,) * len(shape)) * h
    theta, sigma, end = p["theta"], p["sigma"], before[-1] + w[-1]

    def noise(theta):
        weights = np.exp(theta * (middle - 1))
        return end - theta * (weights * integrals).sum(0)

    step = 1e-5
    slope = (noise(theta + step) - noise(theta - step)) / (2 * step)
    return np.exp(-theta) + sigma * noise(theta), -np.exp(-theta) + sigma * slope
