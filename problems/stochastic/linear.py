"""A damped rotation with multiplicative noise that does not commute with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .closed_form import half_mean_square
from .problem import SdeProblem


def stochastic_linear(
    *,
    decay: float = 0.3,
    frequency: float = 2.0,
    volatility: tuple[float, float] = (0.3, 0.5),
    paths: int = 1,
    t_end: float = 1.0,
    saves: int = 4,
) -> SdeProblem:
    r"""A damped rotation of the plane whose components have multiplicative noise of their own.

    .. math:: dy = A y\,dt + \sigma \odot y \odot dW, \quad y(0) = (1, 0.5), \qquad
        A = \begin{pmatrix} -a & -b \\ b & -a \end{pmatrix}

    for `paths` at once (the state has shape ``(paths, 2)``), and L = mean(y²) / 2 over
    components, paths and `saves` equispaced times up to `t_end`. As A does not commute with
    diag(σ) there is no closed form; the moments are known.

    Parameters: ``matrix`` A and ``volatility`` σ, of shapes (2, 2) and (2,), or with a leading
    axis of paths, so that each path has a gradient of its own.

    Reference: P. E. Kloeden, E. Platen, Numerical Solution of Stochastic Differential Equations,
    Springer 1992, section 4.8.
    """
    return SdeProblem(
        name="stochastic_linear",
        drift=_drift,
        diffusion=_diffusion,
        y0=np.tile([1.0, 0.5], (paths, 1)),
        params={
            "matrix": np.array([[-decay, -frequency], [frequency, -decay]]),
            "volatility": np.array(volatility),
        },
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, saves + 1)[1:],
        loss=half_mean_square,
    )


def _drift(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    return xp.matmul(p["matrix"], y[..., None])[..., 0]


def _diffusion(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return p["volatility"] * y
