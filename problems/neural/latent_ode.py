"""The latent ODE: what lies behind irregular series moves by a differential equation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from .mlp import random_weights, tanh_mlp


def latent_ode_weights(
    features: int, latent: int, hidden: int, layers: int, rng: np.random.RandomState
) -> dict[str, np.ndarray]:
    """``w1``, ``b1``, ... of the equations, of `layers` pairs of layers, and the decoder's two."""
    sizes = [latent, *(hidden, latent) * layers]
    decoder = random_weights((latent, features), rng)
    return {
        **random_weights(sizes, rng),
        "decoder_w": decoder["w1"],
        "decoder_b": decoder["b1"],
    }


def latent_ode(
    y0: np.ndarray,
    params: Mapping[str, np.ndarray],
    times: np.ndarray,
    samples: Mapping[str, np.ndarray],
    *,
    spread: float = 0.01,
) -> Problem:
    r"""The latent ODE of a batch of series, from where it is told to start.

    .. math::
        z' = \tanh(N(\tanh z)), \qquad
        L = \frac{1}{B} \sum_b \frac{\sum_{i,j} m_{bij} (D z_b(t_i) - x_{bi})_j^2}
            {2 \sigma^2 \sum_{i,j} m_{bij}}

    N a network with tanh on its hidden layers, D linear: the negative logarithm of the normal
    likelihood of an observation, but for what depends on its spread :math:`\sigma` alone. The mean
    squared error is :math:`2 \sigma^2 L`.

    Parameters
    ----------
    y0 : ndarray, shape (batch, latent)
    params : mapping of str to ndarray
        :func:`latent_ode_weights`.
    times : ndarray
        The union of the times of all series; its last is the end of the span.
    samples : mapping of str to ndarray
        ``values`` and ``mask`` of shape ``(batch, times, features)``; what else is there is for
        the encoder.
    spread : float
        :math:`\sigma`.

    References
    ----------
    R. T. Q. Chen et al., NeurIPS 2018, arXiv:1806.07366, section 5; network and likelihood are
    those of A. Pal et al., ICML 2021, arXiv:2105.03918, for Physionet.
    """
    return Problem(
        name="latent_ode",
        rhs=_rhs,
        y0=y0,
        params=params,
        constants={**samples, "spread": np.asarray(spread, y0.dtype)},
        t_span=(0.0, float(times[-1])),
        save_at=times,
        loss=_loss,
        tags=("neural", "latent"),
    )


def _rhs(t: Any, z: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(z)
    return xp.tanh(tanh_mlp(xp.tanh(z), p))


def _loss(zs: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(zs)
    decoded = xp.permute_dims(zs @ p["decoder_w"] + p["decoder_b"], (1, 0, 2))
    squares = p["mask"] * (decoded - p["values"]) ** 2
    means = xp.sum(squares, axis=(1, 2)) / xp.sum(p["mask"], axis=(1, 2))
    return xp.mean(means) / (2.0 * p["spread"] ** 2)
