"""The cubic spiral, fitted by a neural ODE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace

from ..neural.mlp import random_weights, tanh_mlp
from ..problem import Problem
from ..registry import register

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_TRUE_A = np.array([[-0.1, 2.0], [-2.0, -0.1]])
#: Steps of the data's own integrator between two saves: its error is below 1e-10.
_SUBSTEPS = 100


@register(tags=("neural",))
def cubic_spiral(
    *,
    batch: int = 20,
    hidden: int = 50,
    saves: int = 30,
    t_end: float = 1.5,
    seed: int = 0,
    dtype: DTypeLike = "float64",
) -> Problem:
    r"""A neural ODE at the start of its training on trajectories of a cubic spiral.

    .. math::
        y' = W_2^T \tanh(W_1^T y^3 + b_1) + b_2, \qquad
        L = \frac{1}{N} \sum_{i,j} (y_j(t_i) - d_{ij})^2

    for `batch` start values at once (the state has shape ``(batch, 2)``), with the network
    2-`hidden`-2 and the data d from the true spiral :math:`y' = A^T y^3`,
    A = [[-0.1, 2], [-2, -0.1]], at `saves` equispaced times from 0 to `t_end`. The first
    trajectory starts at (2, 0), the others within the disc of radius 2.

    Parameters: ``w1``, ``b1``, ``w2``, ``b2``, seeded. Smooth and non-stiff; the work is in the
    vector-Jacobian products, and in the cotangent of many parameters that is gathered over all
    steps.

    References: R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, Neural ordinary
    differential equations, NeurIPS 2018, arXiv:1806.07366, and torchdiffeq's ode_demo.py (whose
    loss is the mean absolute error; squared here, to be smooth).
    """
    rng = np.random.RandomState(seed)
    weights = random_weights((2, hidden, 2), rng)
    save_at = np.linspace(0.0, t_end, saves)
    data = _trajectories(_start_values(batch, rng), save_at)
    return Problem(
        name="cubic_spiral",
        rhs=_rhs,
        y0=data[0],
        params=weights,
        constants={"data": data},
        t_span=(0.0, t_end),
        save_at=save_at,
        loss=_loss,
    ).with_dtype(dtype)


def _start_values(batch: int, rng: np.random.RandomState) -> np.ndarray:
    """Points of the disc of radius 2, uniform by area, the first at (2, 0)."""
    radius, angle = 2.0 * np.sqrt(rng.uniform(size=batch)), 2.0 * np.pi * rng.uniform(size=batch)
    radius[:1], angle[:1] = 2.0, 0.0
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _trajectories(y: np.ndarray, save_at: np.ndarray) -> np.ndarray:
    """The true spirals at the save times, by the classical Runge-Kutta method in small steps."""
    saved = [y]
    for interval in np.diff(save_at):
        h = interval / _SUBSTEPS
        for _ in range(_SUBSTEPS):
            k1 = y**3 @ _TRUE_A
            k2 = (y + h / 2 * k1) ** 3 @ _TRUE_A
            k3 = (y + h / 2 * k2) ** 3 @ _TRUE_A
            k4 = (y + h * k3) ** 3 @ _TRUE_A
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        saved.append(y)
    return np.stack(saved)


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return tanh_mlp(y**3, p)


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.mean((ys - p["data"]) ** 2)
