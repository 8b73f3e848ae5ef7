"""Robertson: three species, rates nine orders of magnitude apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register


@register(tags=("kinetics",), stiff=True)
def robertson(*, t_end: float = 1e4, save_at: Sequence[float] | None = None) -> Problem:
    r"""An autocatalytic reaction, the standard test of stiff sensitivity analysis.

    .. math::
        y_1' = -k_1 y_1 + k_3 y_2 y_3, \quad
        y_2' = k_1 y_1 - k_3 y_2 y_3 - k_2 y_2^2, \quad
        y_3' = k_2 y_2^2, \quad y(0) = (1, 0, 0), \qquad L = y_1(T)

    with k = (0.04, 3e7, 1e4), in this order, and T the last of `save_at`, by default `t_end`.
    The span belongs to the problem: libraries run it to anything from 40 to 1e11 (which is
    :func:`~adjointbench.problems.zoo.robertson_long.robertson_long`).

    After a transient of 1e-4 the second species is slaved to the others at about 1e-5; absolute
    tolerances above that see nothing of it. The mass y1 + y2 + y3 is conserved, so the Jacobian
    is singular. Backwards in time it is unstable at rates up to 1e4, and the parameters (and the
    gradient) span nine orders of magnitude: compare gradients in log-parameters.

    References: H. H. Robertson, The solution of a set of reaction rate equations, in Numerical
    Analysis: An Introduction, Academic Press 1966; SUNDIALS CVODES example cvsRoberts_FSA_dns
    (which numbers the rates k1, k3, k2).
    """
    return Problem(
        name="robertson",
        rhs=robertson_rhs,
        jacobian=robertson_jacobian,
        y0=np.array([1.0, 0.0, 0.0]),
        params={"k": np.array([0.04, 3e7, 1e4])},
        t_span=(0.0, t_end),
        save_at=None if save_at is None else np.asarray(save_at),
        loss=_loss,
    )


def robertson_rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    """The three reactions, with the rates ``p["k"]``."""
    xp = array_namespace(y)
    k = p["k"]
    slow, fast, back = k[0] * y[0], k[1] * y[1] ** 2, k[2] * y[1] * y[2]
    return xp.stack([back - slow, slow - back - fast, fast])


def robertson_jacobian(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    """The Jacobian of :func:`robertson_rhs`."""
    xp = array_namespace(y)
    k = p["k"]
    zero = xp.zeros_like(y[0])
    fast = 2.0 * k[1] * y[1]
    back_y2, back_y3 = k[2] * y[2], k[2] * y[1]
    return xp.stack(
        [
            xp.stack([-k[0], back_y2, back_y3]),
            xp.stack([k[0], -back_y2 - fast, -back_y3]),
            xp.stack([zero, fast, zero]),
        ]
    )


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    return ys[-1, 0]
