"""Robertson to t = 1e11: the same reaction until almost nothing of it is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register
from .robertson import robertson_jacobian, robertson_rhs


@register(tags=("kinetics",), stiff=True)
def robertson_long(*, t_end: float = 1e11, saves: int = 23) -> Problem:
    r"""Robertson's reaction over sixteen decades of time.

    The equations, start value and rates of
    :func:`~adjointbench.problems.zoo.robertson.robertson`, saved at `saves` times from 1e-5 to
    `t_end`, evenly spaced in log t, and

    .. math:: L = \sum_i y_1(t_i)

    so that every decade has its share. At the end y1 is 2e-8 and y2 is 8e-14: absolute
    tolerances that serve the start are blind there, and a first species that turns negative by
    rounding makes the equations unstable. Its own name, as its span makes it another problem.

    References: H. H. Robertson, The solution of a set of reaction rate equations, in Numerical
    Analysis: An Introduction, Academic Press 1966; E. Hairer, G. Wanner, Solving Ordinary
    Differential Equations II, Springer 1996, section IV.10 (to 1e11).
    """
    return Problem(
        name="robertson_long",
        rhs=robertson_rhs,
        jacobian=robertson_jacobian,
        y0=np.array([1.0, 0.0, 0.0]),
        params={"k": np.array([0.04, 3e7, 1e4])},
        t_span=(0.0, t_end),
        save_at=np.geomspace(1e-5, t_end, saves),
        loss=_loss,
    )


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.sum(ys[:, 0])
