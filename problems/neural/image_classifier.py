"""The neural ODE classifier of images: time enters both layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from .cross_entropy import cross_entropy


def image_classifier(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    hidden: int,
    seed: int = 0,
    classes: int = 10,
    biases: float = 0.0,
) -> Problem:
    r"""A neural ODE that carries images to where a linear head can tell them apart.

    .. math::
        y' = \tanh(W_2^T [\tanh(W_1^T [y; t] + b_1); t] + b_2), \quad y(0) = x, \qquad
        L = -\frac{1}{N} \sum_n \log \mathrm{softmax}(V^T y_n(1) + c)_{l_n}

    Parameters
    ----------
    name : str
    images : ndarray, shape (batch, pixels)
        Numbers between 0 and 1, in the dtype of the problem.
    labels : ndarray of int, shape (batch,)
        From 0 on; the constant ``labels``.
    hidden : int
        Width of the hidden layer.
    seed : int
        Of the weights, which are Glorot-uniform.
    classes : int
    biases : float
        Standard deviation of the biases; zero as published. A gradient scaled by the parameters
        does not see parameters that are zero.

    Returns
    -------
    Problem
        Parameters: ``w1`` of shape ``(pixels + 1, hidden)``, whose last row is that of time,
        ``b1``, ``w2`` of shape ``(hidden + 1, pixels)``, ``b2``, ``head_w`` V, ``head_b`` c.

    Raises
    ------
    ValueError
        Where `hidden` is not positive.

    References
    ----------
    A. Pal, Y. Ma, V. Shah, C. Rackauckas, Opening the blackbox: accelerating neural differential
    equations by regularizing internal solver heuristics, ICML 2021, arXiv:2105.03918.
    """
    if hidden < 1:
        raise ValueError(f"hidden={hidden!r} must be at least 1, the width of the hidden layer")
    params = _weights(images.shape[1], hidden, classes, biases, np.random.RandomState(seed))
    return Problem(
        name=name,
        rhs=_rhs,
        y0=images,
        params={key: value.astype(images.dtype) for key, value in params.items()},
        constants={"labels": labels},
        t_span=(0.0, 1.0),
        loss=cross_entropy,
        tags=("neural", "classifier"),
    )


def _weights(
    pixels: int, hidden: int, classes: int, biases: float, rng: np.random.RandomState
) -> dict[str, np.ndarray]:
    """Glorot-uniform weights, and normal biases, drawn last: they do not change the weights."""
    weights = {
        "w1": _glorot(pixels + 1, hidden, rng),
        "w2": _glorot(hidden + 1, pixels, rng),
        "head_w": _glorot(pixels, classes, rng),
    }
    sizes = {"b1": hidden, "b2": pixels, "head_b": classes}
    weights |= {key: biases * rng.standard_normal(size) for key, size in sizes.items()}
    return {key: weights[key] for key in ("w1", "b1", "w2", "b2", "head_w", "head_b")}


def _glorot(inputs: int, outputs: int, rng: np.random.RandomState) -> np.ndarray:
    bound = np.sqrt(6.0 / (inputs + outputs))
    return rng.uniform(-bound, bound, size=(inputs, outputs))


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    x = xp.tanh(_with_time(t, y, p["w1"], p["b1"]))
    return xp.tanh(_with_time(t, x, p["w2"], p["b2"]))


def _with_time(t: Any, x: Any, w: Any, b: Any) -> Any:
    """``[x; t] w + b`` without joining x and t."""
    return x @ w[:-1, :] + (t * w[-1, :] + b)
