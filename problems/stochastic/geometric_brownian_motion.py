"""Geometric Brownian motion: everything is known in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from .closed_form import grid_indices, half_mean_square, pathwise_gradient
from .problem import PathwiseGradient, SampledPath, SdeProblem


def geometric_brownian_motion(
    *,
    growth: float = 1.0,
    volatility: float = 0.5,
    paths: int = 1,
    t_end: float = 1.0,
    saves: int = 4,
) -> SdeProblem:
    r"""Geometric Brownian motion: multiplicative noise, and a solution that is a formula.

    .. math:: dy = \mu y\,dt + \sigma y\,dW, \quad y(0) = 1, \qquad
        y(t) = y(0) e^{(\mu - \sigma^2 / 2) t + \sigma W(t)}

    for `paths` at once (the state has shape ``(paths, 1)``), and L = mean(y²) / 2 over paths and
    `saves` equispaced times up to `t_end`. Of a path the closed form needs W at the save times.

    Parameters: ``growth`` μ and ``volatility`` σ, 0-d, or of shape ``(paths, 1)``, so that each
    path has a gradient of its own.

    Reference: P. E. Kloeden, E. Platen, Numerical Solution of Stochastic Differential Equations,
    Springer 1992, section 4.4.
    """
    save_at = np.linspace(0.0, t_end, saves + 1)[1:]
    return SdeProblem(
        name="geometric_brownian_motion",
        drift=_drift,
        diffusion=_diffusion,
        y0=np.ones((paths, 1)),
        params={"growth": growth, "volatility": volatility},
        t_span=(0.0, t_end),
        save_at=save_at,
        loss=half_mean_square,
        exact=partial(_exact, save_at),
    )


def _drift(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return p["growth"] * y


def _diffusion(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return p["volatility"] * y


def _exact(
    save_at: np.ndarray, params: Mapping[str, np.ndarray], y0: np.ndarray, path: SampledPath
) -> PathwiseGradient:
    w = np.cumsum(path.increments, axis=0)[grid_indices(path, save_at) - 1]
    t = save_at[:, None, None]
    growth, volatility = params["growth"], params["volatility"]
    flow = np.exp((growth - volatility**2 / 2) * t + volatility * w)
    ys = y0 * flow
    by_params = {"growth": ys * t, "volatility": ys * (w - volatility * t)}
    return pathwise_gradient(ys, by_params, flow, params)
