"""The Ornstein-Uhlenbeck process: additive noise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .closed_form import grid_indices, half_mean_square, pathwise_gradient
from .problem import PathwiseGradient, SampledPath, SdeProblem

#: Nodes and weights of Gauss and Legendre on [0, 1]: the kernel is smooth on a grid interval.
_NODES, _WEIGHTS = (np.polynomial.legendre.leggauss(4) + np.array([[1.0], [0.0]])) / 2


def ornstein_uhlenbeck(
    *,
    reversion: float = 1.0,
    mean: float = 0.5,
    volatility: float = 0.5,
    paths: int = 1,
    t_end: float = 1.0,
    saves: int = 4,
) -> SdeProblem:
    r"""The Ornstein-Uhlenbeck process: additive noise, linear drift back to a mean.

    .. math:: dy = \theta (\mu - y)\,dt + \sigma\,dW, \quad y(0) = 1, \qquad
        y(t) = \mu + (y(0) - \mu) e^{-\theta t} + \sigma \int_0^t e^{-\theta (t - s)}\,dW_s

    for `paths` at once (the state has shape ``(paths, 1)``), and L = mean(y²) / 2 over paths and
    `saves` equispaced times up to `t_end`.

    The integral depends on the whole path. Its closed form takes the increments and space-time
    Lévy areas on a grid, and is the expectation given these: the path is a parabola on each
    interval but for a remainder of mean zero that is independent of them, which leaves an error
    of standard deviation :math:`\sigma \theta^2 h^2 \sqrt{t / 720}` (the next coefficient of the
    kernel in Legendre polynomials): 10⁻⁹ on 4096 intervals.

    Parameters: ``reversion`` θ, ``mean`` μ and ``volatility`` σ, 0-d, or of shape ``(paths, 1)``,
    so that each path has a gradient of its own.

    References: P. E. Kloeden, E. Platen, Numerical Solution of Stochastic Differential Equations,
    Springer 1992, section 4.4; the parabola of a Brownian path: J. Foster, T. Lyons,
    H. Oberhauser, SIAM J. Numer. Anal. 58(3), 2020, arXiv:1904.06998.
    """
    save_at = np.linspace(0.0, t_end, saves + 1)[1:]
    return SdeProblem(
        name="ornstein_uhlenbeck",
        drift=_drift,
        diffusion=_diffusion,
        y0=np.ones((paths, 1)),
        params={"reversion": reversion, "mean": mean, "volatility": volatility},
        t_span=(0.0, t_end),
        save_at=save_at,
        loss=half_mean_square,
        additive=True,
        exact=partial(_exact, save_at),
    )


def _drift(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return p["reversion"] * (p["mean"] - y)


def _diffusion(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return p["volatility"] + array_namespace(y).zeros_like(y)


def _exact(
    save_at: np.ndarray, params: Mapping[str, np.ndarray], y0: np.ndarray, path: SampledPath
) -> PathwiseGradient:
    reversion, mean, volatility = params["reversion"], params["mean"], params["volatility"]
    integral, by_reversion = _convolution(reversion, path, save_at)
    t = save_at[:, None, None]
    flow = np.exp(-reversion * t)
    ys = mean + (y0 - mean) * flow + volatility * integral
    by_params = {
        "reversion": -t * (y0 - mean) * flow + volatility * by_reversion,
        "mean": 1.0 - flow + np.zeros_like(ys),
        "volatility": integral,
    }
    return pathwise_gradient(ys, by_params, flow, params)


def _convolution(
    reversion: np.ndarray, path: SampledPath, save_at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r""":math:`\int_0^t e^{-\theta (t - s)} dW_s` at the save times, and its derivative by θ.

    On an interval :math:`W_s` is :math:`u W + 6 H u (1 - u)` with u from 0 to 1.
    """
    h = np.diff(path.times)
    nodes = path.times[:-1] + _NODES[:, None] * h
    tilt = (1 - 2 * _NODES).reshape(-1, *(1,) * path.areas.ndim)
    mass = _WEIGHTS.reshape(tilt.shape) * (path.increments + 6 * tilt * path.areas)
    integrals, slopes = [], []
    for t, end in zip(save_at, grid_indices(path, save_at), strict=True):
        since = (t - nodes[:, :end])[..., None, None]
        weighed = np.exp(-reversion * since) * mass[:, :end]
        integrals.append(weighed.sum(axis=(0, 1)))
        slopes.append((-since * weighed).sum(axis=(0, 1)))
    return np.stack(integrals), np.stack(slopes)
