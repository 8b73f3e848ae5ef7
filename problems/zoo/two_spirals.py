"""Two spirals, told apart by a neural ODE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..neural.cross_entropy import cross_entropy
from ..neural.mlp import random_weights, tanh_mlp
from ..problem import Problem
from ..registry import register

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_TURNS = 1.5
_NOISE = 0.02


@register(tags=("neural", "classifier"))
def two_spirals(
    *,
    batch: int = 256,
    hidden: int = 64,
    layers: int = 2,
    t_end: float = 1.0,
    seed: int = 0,
    dtype: DTypeLike = "float64",
) -> Problem:
    r"""A neural ODE classifier of two interleaved spirals, at the start of its training.

    .. math::
        y' = \mathrm{MLP}(y), \quad y(0) = x, \qquad
        L = -\frac{1}{N} \sum_n \log \mathrm{softmax}(V^T y_n(T) + c)_{l_n}

    The state has shape ``(batch, 2)``: every point x_n of the two spirals flows on its own. The
    velocity is a tanh network 2-`hidden`-...-2 with `layers` hidden layers, and a linear head
    turns the end points into two logits, compared with the labels l_n by cross-entropy.

    Parameters: ``w1``, ``b1``, ... of the network and ``head_w`` V, ``head_b`` c, on which the
    loss depends directly; seeded. Constants: ``labels``, integers. A flow of the plane cannot
    change the topology of the two classes, which is why training makes this problem ever stiffer.

    References: K. J. Lang, M. J. Witbrock, Learning to tell two spirals apart, Proc. 1988
    Connectionist Models Summer School; E. Dupont, A. Doucet, Y. W. Teh, Augmented neural ODEs,
    NeurIPS 2019, arXiv:1904.01681.
    """
    if layers < 1:
        raise ValueError(f"layers={layers!r} must be at least 1, the number of hidden layers")
    rng = np.random.RandomState(seed)
    weights = random_weights((2, *[hidden] * layers, 2), rng)
    head = random_weights((2, 2), rng)
    points, labels = _spirals(batch, rng)
    return Problem(
        name="two_spirals",
        rhs=_rhs,
        y0=points,
        params={**weights, "head_w": head["w1"], "head_b": head["b1"]},
        constants={"labels": labels},
        t_span=(0.0, t_end),
        loss=cross_entropy,
    ).with_dtype(dtype)


def _spirals(batch: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Noisy points of two spirals inside the unit disc, in turn from each, with their labels."""
    labels = np.arange(batch) % 2
    radius = np.sqrt(rng.uniform(0.01, 1.0, size=batch))
    angle = 2.0 * np.pi * _TURNS * radius + np.pi * labels
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + _NOISE * rng.standard_normal(points.shape), labels


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return tanh_mlp(y, p)
