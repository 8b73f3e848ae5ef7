"""The small tanh networks that the neural problems share."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace


def random_weights(sizes: Sequence[int], rng: np.random.RandomState) -> dict[str, np.ndarray]:
    """Weights and biases of a multilayer perceptron, in float64.

    Parameters
    ----------
    sizes : sequence of int
        Width of each layer, input and output included.
    rng : RandomState
        Legacy on purpose: NumPy's compatibility policy (NEP 19) freezes its streams, while those
        of `Generator` may change, and with them every certified reference.

    Returns
    -------
    dict of str to ndarray
        ``w1`` of shape ``(sizes[0], sizes[1])``, ``b1``, ``w2``, ...: weights normal with
        variance 1 / inputs (LeCun), biases normal with standard deviation 0.1. The biases are
        not zero, so that a gradient scaled by the parameters sees them.
    """
    weights = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes), start=1):
        weights[f"w{i}"] = rng.standard_normal((inputs, outputs)) / np.sqrt(inputs)
        weights[f"b{i}"] = 0.1 * rng.standard_normal(outputs)
    return weights


def tanh_mlp(x: Any, p: Mapping[str, Any]) -> Any:
    """The network of :func:`random_weights` on the rows of `x`, with tanh on its hidden layers."""
    xp = array_namespace(x)
    layers = sum(name[0] == "w" and name[1:].isdigit() for name in p)
    for i in range(1, layers):
        x = xp.tanh(x @ p[f"w{i}"] + p[f"b{i}"])
    return x @ p[f"w{layers}"] + p[f"b{layers}"]
