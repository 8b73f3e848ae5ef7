"""The right-hand side of the adjoint equation, and what happens at its saves, stops and steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from ..methods.method import BACKWARD
from ..steps.runge_kutta import dense_value, error_scale, root_mean_square
from .config import Config
from .dense_record import dense_at
from .state import DenseRow, StopArrays
from .systems.system import Matrix

Tree = Any

#: Up to so many states the nodes of a quadrature are taken one after the other: within one kernel
#: rows that are looked up for several at once take five times as long.
ONE_BY_ONE = 8

#: Parts into which a step of ``w`` is divided for the quadrature, at most.
MOST_PARTS = 4096


class Along(NamedTuple):
    """What the reverse solve reads: the problem, the events, and the forward solution.

    ``order`` has the numbers of the events in the order in which they are met: saves first, and
    stops after them. ``dense`` is the forward solution, of which ``rows`` rows are filled. ``rtol``
    and ``atol`` are those of the quadrature, flat, and ``dbefore`` the cotangents of the states
    before the stops.
    """

    params: Tree
    constants: Tree
    ys: jax.Array
    dys: jax.Array
    order: jax.Array
    stops: StopArrays
    before_stop: jax.Array | None
    dense: jax.Array | None
    rows: jax.Array
    rtol: jax.Array
    atol: jax.Array
    dbefore: jax.Array | None = None


@dataclass(frozen=True)
class AdjointField:
    """The right-hand side of the reverse solve, on the flat state ``[y,] w, m``."""

    forward: Config
    kind: str

    def __call__(self, s: jax.Array, z: jax.Array, params: Tree) -> jax.Array:
        """``dz/ds``; ``params[1]`` is what the reverse solve reads."""
        along: Along = params[1]
        return self.slope(s, *self.split(s, z, along), along)

    def slope(self, s: jax.Array, y: jax.Array, w: jax.Array, along: Along) -> jax.Array:
        """``dz/ds`` of state and adjoint."""

        def rhs(y: jax.Array, p: Tree) -> jax.Array:
            return self.forward.rhs(-s, y, (p, along.constants))

        slope, vjp = jax.vjp(rhs, y, along.params)
        dw, dm = vjp(w)
        dm = ravel_pytree(dm)[0].astype(w.dtype)
        if self.alone:
            dm = jnp.zeros_like(dm)
        parts = [dw.ravel(), dm]
        return jnp.concatenate([-slope.ravel(), *parts] if self.back else parts)

    def jacobian(self, s: jax.Array, z: jax.Array, params: Tree) -> Matrix:
        """The right-hand side's own Jacobian, of which that of ``dw/ds`` by ``w`` is the transpose.

        Forward mode of the right-hand side is cheaper than its vector-Jacobian products with
        all unit vectors.
        """
        along: Along = params[1]
        y, _ = self.split(s, z, along)
        both = (along.params, along.constants)
        if self.forward.jacobian is not None:
            return self.forward.jacobian(-s, y, both)
        return self.forward.system.jacobian(lambda y: self.forward.rhs(-s, y, both), y)

    @property
    def back(self) -> bool:
        """Whether the state is integrated backwards too."""
        return self.kind in BACKWARD

    @property
    def alone(self) -> bool:
        """Whether the adjoint is all that is integrated; its quadrature is formed beside it."""
        return self.kind in ("gauss", "quadrature")

    def split(self, s: jax.Array, z: jax.Array, along: Along) -> tuple[jax.Array, jax.Array]:
        """State and adjoint at ``s``."""
        shape = along.ys.shape[1:]
        n = int(np.prod(shape))
        if self.back:
            return z[:n].reshape(shape), z[n : 2 * n].reshape(shape)
        assert along.dense is not None
        return dense_at(along.dense, along.rows, -s, shape), z[:n].reshape(shape)


@dataclass(frozen=True)
class FieldAtOneState:
    """The same with the state that it has at a save: it has entries in the same places."""

    field: AdjointField

    def __call__(self, s: jax.Array, z: jax.Array, params: Tree) -> jax.Array:
        """``dz/ds``."""
        along: Along = params[1]
        y = along.ys[0]
        return self.field.slope(s, y, z[: y.size].reshape(y.shape), along)


@dataclass(frozen=True)
class AdjointStop:
    """What happens to the reverse state at a save or at a stop of the forward solve."""

    field: AdjointField

    def __call__(self, which: jax.Array, s: jax.Array, z: jax.Array, params: Tree) -> jax.Array:
        """The reverse state after event number ``which[0]``; -1 is none."""
        along: Along = params[1]
        shape = along.ys.shape[1:]
        n = int(np.prod(shape))
        offset = n if self.field.back else 0
        saves = along.order.shape[0] - (along.stops.times.shape[0] - 1)
        is_event = which[0] >= 0
        event = along.order[jnp.maximum(which[0], 0)]
        is_save = is_event & (event < saves)
        w = z[offset : offset + n].reshape(shape)
        y, m = z[:n], z[offset + n :]
        save = jnp.clip(event, 0, along.dys.shape[0] - 1)
        added = w + jnp.where(is_save, along.dys[save], 0.0)
        y = jnp.where(is_save, along.ys[save].ravel(), y)
        if self.field.forward.on_stop is not None:
            stop = jnp.clip(event - saves, 0, along.stops.last)
            before, dw, dm = stop_cotangent(self.field.forward, along, stop, added)
            jumps = is_event & ~is_save
            added = jnp.where(jumps, dw, added)
            m = m + jnp.where(jumps, ravel_pytree(dm)[0].astype(m.dtype), 0.0)
            y = jnp.where(jumps, before.ravel(), y)
        parts = [added.ravel(), m]
        return jnp.concatenate([y, *parts] if self.field.back else parts)


@dataclass(frozen=True)
class GaussOnStep:
    """Adds the integral of ``w df/dparams`` over an accepted step to ``m``."""

    field: AdjointField
    nodes: int

    def __call__(
        self,
        s: jax.Array,
        h: jax.Array,
        z: jax.Array,
        coefficients: jax.Array,
        z1: jax.Array,
        params: Tree,
    ) -> jax.Array:
        """The reverse state at the end of the step."""
        n = int(np.prod(params[1].ys.shape[1:]))
        row = DenseRow(s, h, z[:n], coefficients[:, :n])
        added = step_quadrature(self.field, row, params[1], self.nodes, z1[n:])
        return jnp.concatenate([z1[:n], z1[n:] + added.astype(z1.dtype)])


def gauss_nodes(config: Config) -> int:
    """Gauss nodes enough for the order of the solver."""
    return (config.tableau.order + 2) // 2


def step_quadrature(
    field: AdjointField, row: DenseRow, along: Along, nodes: int, m: jax.Array
) -> jax.Array:
    """The integral of ``w df/dparams`` over one step of ``w``, flat; `m` is that of the others.

    The adjoint may take steps that are too long for what is integrated: it does not feel how fast
    ``df/dparams`` changes. So the step is halved until the sums over its parts agree with those
    over half as many, within the tolerance; where they never do, it is NaN.
    """

    def sums(parts: jax.Array) -> jax.Array:
        width = 1 / parts.astype(row.h.dtype)

        def add(i: jax.Array, total: jax.Array) -> jax.Array:
            begin = i.astype(width.dtype) * width
            return total + part_sum(field, row, along, nodes, begin, width)

        return lax.fori_loop(jnp.int32(0), parts, add, jnp.zeros_like(m))

    def distance(a: jax.Array, b: jax.Array) -> jax.Array:
        scale = error_scale(m, m + b, along.rtol, along.atol)
        return root_mean_square((a - b) / scale)

    def unsettled(carry: Tree) -> jax.Array:
        parts, _, off = carry
        return (off > 1) & (parts <= MOST_PARTS)

    def halve(carry: Tree) -> Tree:
        parts, before, _ = carry
        after = sums(parts)
        return 2 * parts, after, jnp.where(parts == 1, jnp.inf, distance(before, after))

    start = (jnp.int32(1), jnp.zeros_like(m), jnp.full_like(row.h, jnp.inf))
    _, value, off = lax.while_loop(unsettled, halve, start)
    return jnp.where(off > 1, jnp.nan, value)


def part_sum(
    field: AdjointField,
    row: DenseRow,
    along: Along,
    nodes: int,
    begin: jax.Array | float,
    width: jax.Array | float,
) -> jax.Array:
    """The same over a part of the step, in shares of it, by Gauss-Legendre quadrature."""
    x, weights = np.polynomial.legendre.leggauss(nodes)
    fractions = begin + width * jnp.asarray((x + 1) / 2, row.h.dtype)
    weights = jnp.asarray(weights / 2, row.h.dtype) * (row.h * width)

    def sum_of(fractions: jax.Array, weights: jax.Array) -> jax.Array:
        s = row.t + fractions * row.h
        zs = jax.vmap(lambda x: dense_value(row.coefficients, row.y, row.h, x))(fractions)
        ys, ws = jax.vmap(lambda s, z: field.split(s, z, along))(s, zs)

        def slopes(p: Tree) -> jax.Array:
            return jax.vmap(lambda s, y: field.forward.rhs(-s, y, (p, along.constants)))(s, ys)

        _, vjp = jax.vjp(slopes, along.params)
        return ravel_pytree(vjp(ws * weights.reshape(-1, *(1,) * (ws.ndim - 1)))[0])[0]

    if row.y.size > ONE_BY_ONE:
        return sum_of(fractions, weights)

    def add(i: jax.Array, total: jax.Array) -> jax.Array:
        return total + sum_of(fractions[i][None], weights[i][None])

    return lax.fori_loop(0, nodes, add, jnp.zeros_like(ravel_pytree(along.params)[0]))


def stop_cotangent(
    config: Config, along: Along, stop: jax.Array, w: jax.Array
) -> tuple[jax.Array, jax.Array, Tree]:
    """The state before a stop, and the cotangent ``w`` pulled back through the jump there."""
    assert along.before_stop is not None
    on_stop = config.on_stop
    assert on_stop is not None
    before = along.before_stop[stop].reshape(w.shape)

    t, which = along.stops.times[stop], along.stops.jumps[stop]

    def jump(y: jax.Array, p: Tree) -> jax.Array:
        return on_stop(which, t, y, (p, along.constants))

    _, vjp = jax.vjp(jump, before, along.params)
    dy, dp = vjp(w)
    if along.dbefore is not None:
        dy = dy + along.dbefore[stop]
    return before, dy, dp
