"""A stiff neural ODE: Robertson's reaction learnt by a network, as at the start of training."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..neural.mlp import random_weights
from ..problem import Problem
from ..registry import register

_DATA = Path(__file__).parents[1] / "data" / "robertson.json"


@register(tags=("neural", "kinetics"), stiff=True)
def stiff_neural_ode(*, width: int = 5, hidden_layers: int = 6, seed: int = 0) -> Problem:
    r"""A network with scaled states and scaled time, fitted to Robertson's reaction.

    .. math::
        y' = N(y \oslash s) \circ s / T, \qquad
        L = \frac{1}{3 m} \sum_{i,j} |y_j(t_i) - d_{ij}| / s_j

    from (1, 0, 0) to T = 1e5, with m = 50 saves from 1e-5 on, evenly spaced in log t, the data d
    from Robertson's equations there, s the range of each species in the data, and N a network
    3-`width`-...-`width`-3 of `hidden_layers` hidden layers with GELU (in its tanh form).

    Parameters: ``w1``, ``b1``, ..., seeded. The equations that it learns are stiff and those of
    its first weights are not yet; the scaling is what lets it be trained at all. The loss has
    kinks, where a residual is zero.

    Reference: S. Kim, W. Ji, S. Deng, Y. Ma, C. Rackauckas, Chaos 31 (2021) 093122.
    """
    if hidden_layers < 1 or width < 1:
        raise ValueError(
            f"width={width!r} and hidden_layers={hidden_layers!r} must be at least 1, as 5 and 6"
        )
    times, data = _robertson()
    sizes = (3, *(width,) * hidden_layers, 3)
    return Problem(
        name="stiff_neural_ode",
        rhs=_rhs,
        y0=np.array([1.0, 0.0, 0.0]),
        params=random_weights(sizes, np.random.RandomState(seed)),
        constants={"data": data, "scale": np.ptp(data, axis=0), "end": times[-1]},
        t_span=(0.0, times[-1]),
        save_at=times,
        loss=_loss,
    )


@functools.cache
def _robertson() -> tuple[np.ndarray, np.ndarray]:
    """Save times and states of Robertson's reaction, to ten digits; the file says how made."""
    record = json.loads(_DATA.read_text(encoding="utf-8"))
    return np.asarray(record["t"]), np.asarray(record["y"])


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    layers = sum(name[0] == "w" and name[1:].isdigit() for name in p)
    x = y / p["scale"]
    for i in range(1, layers + 1):
        x = x @ p[f"w{i}"] + p[f"b{i}"]
        if i < layers:
            x = _gelu(x)
    return x * p["scale"] / p["end"]


def _gelu(x: Any) -> Any:
    xp = array_namespace(x)
    return 0.5 * x * (1.0 + xp.tanh(float(np.sqrt(2.0 / np.pi)) * (x + 0.044715 * x**3)))


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.mean(xp.abs(ys - p["data"]) / p["scale"])
