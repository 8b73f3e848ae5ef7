"""A damped rotation: the problem whose gradient is known in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register


@register(tags=("oscillatory", "closed-form"))
def linear(
    *, decay: float = 0.3, frequency: float = 2.0, t_end: float = 4.0, saves: int = 8
) -> Problem:
    r"""Damped rotation of the plane, observed linearly: everything is known in closed form.

    .. math::
        y_1' = -a y_1 - b y_2, \quad y_2' = b y_1 - a y_2, \quad y(0) = (1, 0.5), \qquad
        L = \sum_i c \cdot y(t_i)

    at `saves` equispaced times :math:`t_i` up to `t_end`. As :math:`z = y_1 + i y_2` it reads
    :math:`z' = (-a + i b) z`, so :math:`z(t) = e^{(-a + i b) t} z(0)`.

    Parameters: ``decay`` a, ``frequency`` b (both 0-d), ``observation`` c = (1, -2), through which
    the loss depends on the parameters directly as well. Nothing is hard about it: an adjoint that
    misses it is wrong.

    Reference: E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I,
    Springer 1993, section I.14 (derivatives with respect to parameters and initial values).
    """
    return Problem(
        name="linear",
        rhs=_rhs,
        jacobian=_jacobian,
        y0=np.array([1.0, 0.5]),
        params={"decay": decay, "frequency": frequency, "observation": np.array([1.0, -2.0])},
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, saves + 1)[1:],
        loss=_loss,
        exact=lambda params, y0: _exact(params, y0, np.linspace(0.0, t_end, saves + 1)[1:]),
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    a, b = p["decay"], p["frequency"]
    return xp.stack([-a * y[0] - b * y[1], b * y[0] - a * y[1]])


def _jacobian(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    a, b = p["decay"], p["frequency"]
    return xp.stack([xp.stack([-a, -b]), xp.stack([b, -a])])


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.sum(ys * p["observation"])


def _exact(
    params: Mapping[str, np.ndarray], y0: np.ndarray, save_at: np.ndarray
) -> tuple[float, dict[str, np.ndarray], np.ndarray]:
    """Loss and gradient: L = Re(sum conj(c) z), dz/da = -t z, dz/db = i t z, dz/dz0 = z / z0."""
    flow = np.exp((-params["decay"] + 1j * params["frequency"]) * save_at)
    z = flow * (y0[0] + 1j * y0[1])
    c = params["observation"][0] + 1j * params["observation"][1]
    by_log_flow = np.conj(c) * z * save_at
    dy0 = np.conj(np.sum(np.conj(c) * flow))
    dparams = {
        "decay": np.asarray(-np.sum(by_log_flow).real),
        "frequency": np.asarray(-np.sum(by_log_flow).imag),
        "observation": np.array([np.sum(z.real), np.sum(z.imag)]),
    }
    return float(np.sum(np.conj(c) * z).real), dparams, np.array([dy0.real, dy0.imag])
