"""Robertson as a differential-algebraic equation: the sum of the species takes one's place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register
from .robertson import robertson_rhs


@register(tags=("kinetics", "dae"), stiff=True)
def robertson_dae(*, t_end: float = 1e4, save_at: Sequence[float] | None = None) -> Problem:
    r"""Robertson's reaction with the conserved sum in place of the third equation.

    .. math::
        y_1' = -k_1 y_1 + k_3 y_2 y_3, \quad
        y_2' = k_1 y_1 - k_3 y_2 y_3 - k_2 y_2^2, \quad
        0 = y_1 + y_2 + y_3 - 1, \quad y(0) = (1, 0, 0), \qquad L = y_1(T)

    with k = (0.04, 3e7, 1e4), in this order, and T the last of `save_at`, by default `t_end`: the
    mass matrix is diag(1, 1, 0), and y_3 the algebraic variable, of index 1. The solution and the
    derivatives by ``k`` are those of :func:`~adjointbench.problems.zoo.robertson.robertson`. Those
    by the start value are not: y_3(0) follows from the others, and the gradient by it is zero.

    References: H. H. Robertson, The solution of a set of reaction rate equations, in Numerical
    Analysis: An Introduction, Academic Press 1966; SUNDIALS IDAS example idasRoberts_FSA_dns
    (which numbers the rates k1, k3, k2).
    """
    return Problem(
        name="robertson_dae",
        rhs=_rhs,
        y0=np.array([1.0, 0.0, 0.0]),
        params={"k": np.array([0.04, 3e7, 1e4])},
        mass=np.diag([1.0, 1.0, 0.0]),
        t_span=(0.0, t_end),
        save_at=None if save_at is None else np.asarray(save_at),
        loss=_loss,
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    reactions = robertson_rhs(t, y, p)
    return xp.stack([reactions[0], reactions[1], y[0] + y[1] + y[2] - 1.0])


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    return ys[-1, 0]
