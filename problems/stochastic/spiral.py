"""The cubic spiral with multiplicative noise: the data of neural SDEs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .closed_form import half_mean_square
from .problem import SdeProblem


def stochastic_spiral(
    *, volatility: float = 0.2, paths: int = 1, t_end: float = 1.0, saves: int = 30
) -> SdeProblem:
    r"""The cubic spiral with multiplicative noise, which neural SDEs are trained on.

    .. math:: dy = A^T y^3\,dt + \sigma \odot y \odot dW, \quad y(0) = (2, 0), \qquad
        A = \begin{pmatrix} -0.1 & 2 \\ -2 & -0.1 \end{pmatrix}, \quad \sigma = (0.2, 0.2)

    for `paths` at once (the state has shape ``(paths, 2)``), and L = mean(y²) / 2 over
    components, paths and `saves` equispaced times from 0 to `t_end`. Non-linear, with a drift
    that turns fast where y is large; no closed form.

    Parameters: ``matrix`` A and ``volatility`` σ, of shapes (2, 2) and (2,), or with a leading
    axis of paths, so that each path has a gradient of its own.

    References: A. Pal, Y. Ma, V. Shah, C. Rackauckas, Opening the blackbox, ICML 2021,
    arXiv:2105.03918, section 4.2; the equations as in the tutorial on neural stochastic
    differential equations of DiffEqFlux.jl.
    """
    return SdeProblem(
        name="stochastic_spiral",
        drift=_drift,
        diffusion=_diffusion,
        y0=np.tile([2.0, 0.0], (paths, 1)),
        params={
            "matrix": np.array([[-0.1, 2.0], [-2.0, -0.1]]),
            "volatility": np.full(2, volatility),
        },
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, saves),
        loss=half_mean_square,
    )


def _drift(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    return xp.matmul((y**3)[..., None, :], p["matrix"])[..., 0, :]


def _diffusion(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return p["volatility"] * y
