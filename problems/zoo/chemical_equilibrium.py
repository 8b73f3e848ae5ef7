"""A dimer in equilibrium with its monomer that decays: a fast reaction as an algebraic equation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register

_PARAMS = {"equilibrium": 2.0, "rate": 0.7}


@register(tags=("kinetics", "dae"), stiff=True)
def chemical_equilibrium(*, t_end: float = 10.0, n_saves: int = 10) -> Problem:
    r"""Two monomers A make a dimer B and back, at once; B turns into C slowly.

    .. math::
        a' + 2 b' = -2 k b, \qquad c' = k b, \qquad 0 = K a^2 - b

    for the state (a, b, c), with the law of mass action in place of the fast reaction 2A ⇌ B, of
    equilibrium constant K = 2, and k = 0.7. The mass matrix is ((1, 2, 0), (0, 0, 1), (0, 0, 0)),
    not diagonal. It starts with monomers alone, (1, 0, 0): consistent values, which keep
    a + 2b and c, are another state. The loss is half the sum of the squares of all states at
    `n_saves` equidistant times after the start.

    In closed form w = 1/(4 K a) fulfils w + log w = w₀ + log w₀ + k t/2, so that w is Wright's
    function ω of the right-hand side, and a + 2b + 2c is conserved. Without the equilibrium, as
    an ordinary differential equation with a fast reaction, it would be stiff.

    Reference: the quasi-equilibrium approximation, as in E. Hairer, G. Wanner, Solving Ordinary
    Differential Equations II, Springer 1996, section VI.1; R. M. Corless, D. J. Jeffrey, The
    Wright ω function, LNCS 2385 (2002) 76-89.
    """
    return Problem(
        name="chemical_equilibrium",
        rhs=_rhs,
        y0=np.array([1.0, 0.0, 0.0]),
        params=_PARAMS,
        mass=np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, n_saves + 1)[1:],
        loss=_loss,
        exact=lambda params, y0: _exact(params, y0, np.linspace(0.0, t_end, n_saves + 1)[1:]),
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    a, b = y[0], y[1]
    turned = p["rate"] * b
    return xp.stack([-2.0 * turned, turned, p["equilibrium"] * a**2 - b])


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.sum(ys**2) / 2.0


def _exact(
    params: Mapping[str, np.ndarray], y0: np.ndarray, t: np.ndarray
) -> tuple[float, dict[str, np.ndarray], np.ndarray]:
    """Loss and gradient: derivatives by (K, k, s, c) of the states, s = a + 2b at the start."""
    from scipy.special import wrightomega

    big_k, k, s, c0 = params["equilibrium"], params["rate"], y0[0] + 2.0 * y0[1], y0[2]
    root = np.sqrt(1.0 + 8.0 * big_k * s)
    w0 = 1.0 / (root - 1.0)  # of a = (root - 1) / (4 K)
    w = wrightomega(w0 + np.log(w0) + k * t / 2.0).real
    # w0 depends on K s alone: d w0 = w0_by d(K s); and (1 + 1/w) dw = (1 + 1/w0) dw0 + t/2 dk.
    w0_by = -4.0 * w0**2 / root
    slope = w / (1.0 + w)
    by_ks = slope * (1.0 + 1.0 / w0) * w0_by
    dw = np.stack([by_ks * s, slope * t / 2.0, by_ks * big_k, 0.0 * t])
    directions = np.eye(4)[:, :, None]
    a = 1.0 / (4.0 * big_k * w)
    da = -a * (dw / w + directions[0] / big_k)
    b, db = big_k * a**2, directions[0] * a**2 + 2.0 * big_k * a * da
    c, dc = c0 + (s - a - 2.0 * b) / 2.0, directions[3] + (directions[2] - da - 2.0 * db) / 2.0
    loss = float(np.sum(a**2 + b**2 + c**2) / 2.0)
    by = np.sum(a * da + b * db + c * dc, axis=1)
    dparams = {"equilibrium": by[0], "rate": by[1]}
    return loss, dparams, np.array([by[2], 2.0 * by[2], by[3]])
