"""The published neural ODE classifier of images: time enters both layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problems import Problem


def image_classifier(
    name: str, images: np.ndarray, labels: np.ndarray, *, hidden: int, classes: int, seed: int
) -> Problem:
    r"""A neural ODE that carries images to where a linear head can tell them apart.

    .. math::
        y' = \tanh(W_2^T [\tanh(W_1^T [y; t] + b_1); t] + b_2), \quad y(0) = x, \qquad
        L = -\frac{1}{N} \sum_n \log \mathrm{softmax}(V^T y_n(1) + c)_{l_n}

    Parameters
    ----------
    name : str
    images : ndarray, shape (batch, pixels)
        Between 0 and 1; their dtype is the problem's.
    labels : ndarray of int, shape (batch,)
    hidden, classes : int
    seed : int
        Of the weights: Glorot uniform, biases zero.

    References
    ----------
    A. Pal, Y. Ma, V. Shah, C. Rackauckas, ICML 2021, arXiv:2105.03918, and its code.
    """
    pixels = images.shape[1]
    random = np.random.RandomState(seed)
    return Problem(
        name=name,
        rhs=_rhs,
        y0=images,
        params={
            "w1": _glorot(pixels + 1, hidden, random).astype(images.dtype),
            "b1": np.zeros(hidden, images.dtype),
            "w2": _glorot(hidden + 1, pixels, random).astype(images.dtype),
            "b2": np.zeros(pixels, images.dtype),
            "head_w": _glorot(pixels, classes, random).astype(images.dtype),
            "head_b": np.zeros(classes, images.dtype),
        },
        constants={"labels": labels, "classes": np.arange(classes)},
        t_span=(0.0, 1.0),
        loss=cross_entropy,
        tags=("neural", "classifier"),
    )


def cross_entropy(ys: Any, p: Mapping[str, Any]) -> Any:
    """The mean of ``-log softmax`` of the right class, from the last save."""
    xp = array_namespace(ys)
    logits = _logits(ys, p)
    logits = logits - xp.max(logits, axis=-1, keepdims=True)
    right = p["labels"][:, None] == p["classes"][None, :]
    picked = xp.sum(xp.where(right, logits, xp.zeros_like(logits)), axis=-1)
    return xp.mean(xp.log(xp.sum(xp.exp(logits), axis=-1)) - picked)


def correct(ys: Any, p: Mapping[str, Any]) -> Any:
    """For each image whether the largest logit is that of its label."""
    return array_namespace(ys).argmax(_logits(ys, p), axis=-1) == p["labels"]


def _logits(ys: Any, p: Mapping[str, Any]) -> Any:
    return ys[-1, ...] @ p["head_w"] + p["head_b"]


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    x = xp.tanh(_with_time(t, y, p["w1"], p["b1"]))
    return xp.tanh(_with_time(t, x, p["w2"], p["b2"]))


def _with_time(t: Any, x: Any, w: Any, b: Any) -> Any:
    """``[x; t] w + b`` without joining x and t."""
    return x @ w[:-1, :] + (t * w[-1, :] + b)


def _glorot(inputs: int, outputs: int, random: np.random.RandomState) -> np.ndarray:
    bound = np.sqrt(6.0 / (inputs + outputs))
    return random.uniform(-bound, bound, size=(inputs, outputs))
