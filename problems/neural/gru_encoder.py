"""A recurrent encoder of irregular series, run backwards in time to what they start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .mlp import random_weights, tanh_mlp

Array = Any
#: ``scan(cell, state, inputs)``: the last state of ``state = cell(state, x)`` over all inputs.
Scan = Callable[[Callable[[Array, Array], Array], Array, Array], Array]

_PREFIX = "encoder_"
_NETWORKS = ("update", "reset", "fresh", "start")


def encoder_weights(
    features: int, memory: int, hidden: int, latent: int, rng: np.random.RandomState
) -> dict[str, np.ndarray]:
    """Weights of :func:`encode`, by names that begin with ``encoder_``.

    Parameters
    ----------
    features : int
        Of a series at a time.
    memory : int
        Size of either half, mean and spread, of the recurrent state.
    hidden : int
        Width of the hidden layer of each of its networks.
    latent : int
        Size of the start value.
    rng : RandomState
    """
    inputs = 2 * memory + 2 * features + 1
    sizes = {
        "update": (inputs, hidden, memory),
        "reset": (inputs, hidden, memory),
        "fresh": (inputs, hidden, 2 * memory),
        "start": (2 * memory, hidden, 2 * latent),
    }
    return {
        f"{_PREFIX}{network}_{name}": value
        for network in _NETWORKS
        for name, value in random_weights(sizes[network], rng).items()
    }


def encode(params: Mapping[str, Array], p: Mapping[str, Array], scan: Scan) -> tuple[Array, Array]:
    """Mean and logarithm of the variance of the start values of a batch of series.

    A gated recurrent unit whose state is a mean and a spread with common gates, from the last
    time to the first; it stays as it is where a series is not seen.

    Parameters
    ----------
    params : mapping of str to array
        :func:`encoder_weights`.
    p : mapping of str to array
        ``values`` and ``mask`` of shape ``(batch, times, features)``, and ``gaps``, of shape
        ``(batch, times)``.
    scan : callable
        The framework's loop.

    Returns
    -------
    tuple of array, shape (batch, latent)

    References
    ----------
    Y. Rubanova, R. T. Q. Chen, D. Duvenaud, Latent ordinary differential equations for
    irregularly-sampled time series, NeurIPS 2019, arXiv:1907.03907; Kelly et al., NeurIPS 2020
    and Pal et al., ICML 2021, encode Physionet by it.
    """
    xp = array_namespace(p["values"])
    networks = {network: _weights_of(params, network) for network in _NETWORKS}
    joined = xp.concat([p["values"], p["mask"], p["gaps"][..., None]], axis=-1)
    backwards = xp.flip(xp.permute_dims(joined, (1, 0, 2)), axis=0)
    nothing = xp.zeros_like(backwards[0, :, :1] * networks["fresh"]["b2"])
    state = scan(lambda state, x: _gated(state, x, networks), nothing, backwards)
    start = tanh_mlp(state, networks["start"])
    latent = start.shape[-1] // 2
    return start[:, :latent], start[:, latent:]


def _weights_of(params: Mapping[str, Array], network: str) -> dict[str, Array]:
    prefix = f"{_PREFIX}{network}_"
    return {
        name.removeprefix(prefix): value
        for name, value in params.items()
        if name.startswith(prefix)
    }


def _gated(state: Array, x: Array, networks: Mapping[str, Mapping[str, Array]]) -> Array:
    """The next state, after the observations `x` of shape ``(batch, 2 * features + 1)``."""
    xp = array_namespace(state)

    def gate(network: str) -> Array:
        half = _sigmoid(tanh_mlp(xp.concat([state, x], axis=-1), networks[network]))
        return xp.concat([half, half], axis=-1)

    update, reset = gate("update"), gate("reset")
    fresh = tanh_mlp(xp.concat([state * reset, x], axis=-1), networks["fresh"])
    features = x.shape[-1] // 2
    seen = xp.sum(x[:, features:-1], axis=-1, keepdims=True) > 0
    return xp.where(seen, (1.0 - update) * fresh + update * state, state)


def _sigmoid(x: Array) -> Array:
    """By tanh, whose derivative does not overflow."""
    return 0.5 * (1.0 + array_namespace(x).tanh(0.5 * x))
