"""An explicit Runge-Kutta method made algebraically reversible, with fixed steps.

With ``z = y`` at the start and ``P_h(t, y)`` the increment of the method, a step is

    y1 = c y + (1 - c) z + P_h(t, z),        z1 = z - P_{-h}(t + h, y1),

and its derivative needs the pair after it alone, from which the pair before it follows:

    z = z1 + P_{-h}(t + h, y1),              y = (y1 - (1 - c) z - P_h(t, z)) / c.

References
----------
S. McCallum, J. Foster, "Efficient, accurate and stable gradients for neural ODEs",
arXiv:2410.11648.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ...adjoints.steps.runge_kutta import step_stages
from ...adjoints.steps.tableaus import tableau

Tree = Any
Rhs = Callable[[Any, Any, Tree], Any]

#: How strongly the pair is coupled: that of the authors' experiments.
COUPLING = 0.999


def solve(rhs: Rhs, y0: Any, params: Tree, h: float, steps: int) -> Any:
    """The states after each of so many steps of size `h` from time zero, by reversible Tsit5."""
    return _forward(rhs, h, steps, y0, params)[0]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def solve_back(rhs: Rhs, h: float, steps: int, y0: Any, params: Tree) -> Any:
    """The same; its derivative computes the states again, backwards, and keeps the last alone."""
    return _forward(rhs, h, steps, y0, params)[0]


def _increment(rhs: Rhs, t: Any, h: Any, y: Any, params: Tree) -> Any:
    return step_stages(rhs, tableau("tsit5"), t, y, h, params)[0] - y


def _forward(rhs: Rhs, h: float, steps: int, y0: Any, params: Tree) -> Any:
    def step(pair: Any, number: Any) -> Any:
        y, z = pair
        t, size = number * h, jnp.asarray(h, y0.dtype)
        y1 = COUPLING * y + (1 - COUPLING) * z + _increment(rhs, t, size, z, params)
        z1 = z - _increment(rhs, t + h, -size, y1, params)
        return (y1, z1), y1

    pair, ys = lax.scan(step, (y0, y0), jnp.arange(steps, dtype=y0.dtype))
    return ys, pair


def _record(rhs: Rhs, h: float, steps: int, y0: Any, params: Tree) -> Any:
    ys, pair = _forward(rhs, h, steps, y0, params)
    return ys, (pair, params)


def _pull_back(rhs: Rhs, h: float, steps: int, kept: Any, dys: Any) -> Any:
    pair, params = kept

    def step(carry: Any, entering: Any) -> Any:
        (y1, z1), (wy, wz), dparams = carry
        number, dy = entering
        t, size = number * h, jnp.asarray(h, y1.dtype)
        back, pull_back = jax.vjp(partial(_increment, rhs, t + h, -size), y1, params)
        z = z1 + back
        forth, pull_forth = jax.vjp(partial(_increment, rhs, t, size), z, params)
        y = (y1 - (1 - COUPLING) * z - forth) / COUPLING
        of_back, dp_back = pull_back(-wz)
        wy = wy + dy + of_back
        of_forth, dp_forth = pull_forth(wy)
        wz = wz + (1 - COUPLING) * wy + of_forth
        dparams = jax.tree.map(lambda a, b, c: a + b + c, dparams, dp_back, dp_forth)
        return ((y, z), (COUPLING * wy, wz), dparams), None

    zero = jnp.zeros_like(pair[0])
    start = (pair, (zero, zero), jax.tree.map(jnp.zeros_like, params))
    numbers = jnp.arange(steps, dtype=zero.dtype)
    (_, (wy, wz), dparams), _ = lax.scan(step, start, (numbers, dys), reverse=True)
    return wy + wz, dparams


solve_back.defvjp(_record, _pull_back)
