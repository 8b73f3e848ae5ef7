"""The adaptive-AD trap: a constant solution with sensitivities that are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register


@register(tags=("oscillatory", "trap"))
def adaptive_ad_trap(*, a: float = 1.0, t_end: float = 10.0, saves: int = 101) -> Problem:
    r"""A start at rest that fools step-size control, and with it every derivative of a solver.

    .. math::
        y_1' = a y_1 - y_1 y_2, \quad y_2' = -a y_2 + y_1 y_2, \quad y(0) = (1, 1), \qquad
        L = \sum_i y_1(t_i) + y_2(t_i)

    at `saves` equispaced times from 0 to `t_end`, both ends included.

    At a = 1 the start value is an equilibrium, so an error estimate of the state sees nothing and
    the steps grow without bound, while dy/da oscillates and is under-resolved. The exact
    derivative of the program is then not the derivative of the solution, at any tolerance:
    discrete adjoints that freeze the step size get it wrong, continuous adjoints and solvers that
    control the error of the sensitivities as well get it right.

    Reference: F. Sapienza et al., Differentiable programming for differential equations: a
    review, arXiv:2406.09699, section on the computation of sensitivities in adaptive solvers.
    """
    return Problem(
        name="adaptive_ad_trap",
        rhs=_rhs,
        y0=np.array([1.0, 1.0]),
        params={"a": a},
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, saves),
        loss=_loss,
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    a = p["a"]
    return xp.stack([a * y[0] - y[0] * y[1], -a * y[1] + y[0] * y[1]])


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.sum(ys)
