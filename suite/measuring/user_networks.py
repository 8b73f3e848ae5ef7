"""Gradients of networks as users take them: through `solve` of JAX or of PyTorch, or torchdiffeq.

All by Dormand and Prince's method of order 5, in single precision, by the weights and the start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .timing import NUDGE, TimedCall, timed

SOLVER = "dopri5"

#: In single precision a change that it can tell.
SEEN = 100 * NUDGE


class Network(NamedTuple):
    """A network of tanh layers as a right-hand side.

    Attributes
    ----------
    sizes : tuple of int
        Of its layers.
    batch : int
    cubed : bool
        Whether it reads the cubes of the states, as torchdiffeq's ``ode_demo`` does.
    save_at : tuple of float
        From zero.
    rtol, atol : float
    """

    sizes: tuple[int, ...]
    batch: int
    rtol: float
    atol: float
    save_at: tuple[float, ...] = (1.0,)
    cubed: bool = False

    def weights(self) -> list[np.ndarray]:
        """Matrices and offsets in turn, always the same."""
        rng = np.random.default_rng(0)
        found = []
        for fan_in, fan_out in zip(self.sizes, self.sizes[1:], strict=False):
            found.append(rng.normal(size=(fan_in, fan_out)) / np.sqrt(fan_in))
            found.append(0.1 * rng.normal(size=fan_out))
        return [x.astype(np.float32) for x in found]

    def y0(self) -> np.ndarray:
        """The start value, always the same."""
        rng = np.random.default_rng(1)
        return rng.normal(size=(self.batch, self.sizes[0])).astype(np.float32)

    def rhs(self, tanh: Callable[[Any], Any]) -> Callable[..., Any]:
        """``rhs(t, y, weights)``."""

        def rhs(t: Any, y: Any, weights: Any) -> Any:
            x = y**3 if self.cubed else y
            for i in range(0, len(weights), 2):
                x = x @ weights[i] + weights[i + 1]
                x = tanh(x) if i + 2 < len(weights) else x
            return x

        return rhs


_DEMO = tuple(float(t) for t in np.linspace(0.0, 25.0, 1000)[1:10])

NETWORKS = {
    "2-50-2 cubed, 20 points": Network((2, 50, 2), 20, 1e-7, 1e-9, _DEMO, cubed=True),
    "2-64-64-2, 256 points, 1e-3": Network((2, 64, 64, 2), 256, 1e-3, 1e-5),
    "2-64-64-2, 256 points, 1e-5": Network((2, 64, 64, 2), 256, 1e-5, 1e-7),
    "784-100-100-784, 128 images": Network((784, 100, 100, 784), 128, 1e-3, 1e-6),
}


def by_jax(network: Network, *, primal: bool = False) -> TimedCall:
    """``jit(grad)`` around JAX's `solve` at its defaults, or the loss alone."""
    import jax
    import jax.numpy as jnp

    from ...adjoints.jax import solve

    rhs, save_at = network.rhs(jnp.tanh), np.asarray(network.save_at, np.float32)

    def loss(weights: Any, y0: Any) -> Any:
        own = {"solver": SOLVER, "rtol": network.rtol, "atol": network.atol}
        return jnp.square(solve(rhs, y0, save_at, weights, **own).ys).mean()

    call = jax.jit(loss if primal else jax.grad(loss, argnums=(0, 1)))
    return timed(call, _inputs(network, jnp.asarray), jax.block_until_ready)


def by_torch(network: Network, **options: Any) -> TimedCall:
    """``backward`` through PyTorch's `solve`."""
    import torch

    from ...adjoints.torch import solve

    own = {"solver": SOLVER, "rtol": network.rtol, "atol": network.atol, **options}

    def solved(rhs: Any, y0: Any, save_at: Any) -> Any:
        return solve(rhs, y0, save_at, **own).ys

    return _backward(network, solved, torch.tensor(network.save_at))


def by_torchdiffeq(network: Network) -> TimedCall:
    """``backward`` through torchdiffeq's ``odeint``."""
    import torch
    from torchdiffeq import odeint

    own = {"method": SOLVER, "rtol": network.rtol, "atol": network.atol}

    def solved(rhs: Any, y0: Any, times: Any) -> Any:
        return odeint(rhs, y0, times, **own)[1:]

    return _backward(network, solved, torch.tensor((0.0, *network.save_at)))


def _backward(network: Network, solved: Callable[..., Any], times: Any) -> TimedCall:
    """A module's gradients; the weights are put in their places before each call."""
    import torch

    module = _module(network)

    def gradient(weights: Any, y0: Any) -> Any:
        with torch.no_grad():
            for mine, given in zip(module.weights, weights, strict=True):
                mine.copy_(given)
        module.zero_grad()
        y0 = y0.detach().requires_grad_()
        solved(module, y0, times).square().mean().backward()
        return y0.grad

    return timed(gradient, _inputs(network, torch.from_numpy))


def _module(network: Network) -> Any:
    import torch

    class Field(torch.nn.Module):
        """The network as a module of PyTorch."""

        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.ParameterList(map(torch.from_numpy, network.weights()))
            self._rhs = network.rhs(torch.tanh)

        def forward(self, t: Any, y: Any) -> Any:
            """``dy/dt``."""
            return self._rhs(t, y, list(self.weights))

    return Field()


def _inputs(network: Network, place: Callable[[Any], Any]) -> list[tuple[Any, Any]]:
    """Weights and start value, other ones for each call."""
    factors = (1.0 + SEEN * np.arange(8)).astype(np.float32)
    return [([place(w * f) for w in network.weights()], place(network.y0())) for f in factors]
