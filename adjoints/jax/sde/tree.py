"""A Brownian path on one interval of time, drawn where it is read: a virtual tree.

Time runs from 0 to 1. The path is known by its increment and its space-time area over the whole
interval, and these of a cell decide, with two normal numbers a component that belong to its number
in the tree, those of its halves. What is drawn depends on the key and on the cell alone: whatever
is asked for, and in whatever order, it is the same path. Nothing is stored.

References
----------
A. Jelincic, J. Foster, P. Kidger, "Single-seed generation of Brownian paths and integrals for
adaptive and high order SDE solvers", arXiv:2405.06464 (2024);
X. Li, T.-K. L. Wong, R. T. Q. Chen, D. Duvenaud, "Scalable gradients for stochastic differential
equations", AISTATS 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from ...steps.brownian import Increment, joined, split, whole

Normals = tuple[jax.Array, jax.Array]


@dataclass(frozen=True)
class Tree:
    """A virtual Brownian tree; static.

    Attributes
    ----------
    shape, dtype
        Of the path.
    levels : int
        How often the interval is halved at most.
    """

    shape: tuple[int, ...]
    dtype: jnp.dtype
    levels: int

    def root(self, key: jax.Array) -> Increment:
        """The whole interval."""
        return whole(jnp.ones((), self.dtype), self._normals(key, jnp.int32(0)))

    def cell(self, key: jax.Array, level: jax.Array, index: jax.Array) -> Increment:
        """Cell number `index` of the ``2**level`` cells of a `level`."""
        one = jnp.ones((), self.dtype)

        def descend(i: jax.Array, cell: Increment) -> Increment:
            # The first turn draws the root: every place in a program that draws costs compiling.
            above = jnp.maximum(i - 1, 0)
            node = jnp.where(i == 0, 0, (jnp.int32(1) << above) + (index >> (level - above)))
            normals = self._normals(key, node)
            left, right = split(cell, jnp.ldexp(one, -above), 0.5, normals)
            goes_right = ((index >> (level - i)) & 1) == 1
            return _chosen(i == 0, whole(one, normals), _chosen(goes_right, right, left))

        zero = jnp.zeros(self.shape, self.dtype)
        return lax.fori_loop(0, level + 1, descend, Increment(zero, zero))

    def between(self, key: jax.Array, start: jax.Array, end: jax.Array) -> Increment:
        """From any `start` to any later `end`, 0 to 1.

        Inside a cell of the last level the path is drawn at one point, exactly in law, but two
        points in one such cell do not belong together: NaN, where both ends lie in one.
        """
        cells = 2.0**self.levels
        at = jnp.stack([jnp.asarray(x, self.dtype) * cells for x in (start, end)])
        first, last = jnp.floor(at[0]).astype(jnp.int32), jnp.ceil(at[1]).astype(jnp.int32) - 1
        shared = self.levels - _bits(first ^ last)
        common = self.cell(key, shared, first >> (self.levels - shared))
        size = jnp.int32(1) << (self.levels - shared)
        lower = (first // size) * size
        edges = jnp.stack([lower, lower + size]).astype(self.dtype)
        fits = (at == edges).all()
        within = (shared == self.levels) & ~fits
        depth = jnp.where(
            fits | within, shared, jnp.maximum(shared + 1, self._depth(at, first, last))
        )
        found = self._ends(key, at, jnp.stack([first, last]), shared, depth, common)
        found = _chosen(fits, common, found)
        return jax.tree.map(lambda leaf: jnp.where(within, jnp.nan, leaf), found)

    def _depth(self, at: jax.Array, first: jax.Array, last: jax.Array) -> jax.Array:
        """The level on which both ends lie between cells, or the last."""
        whole = jnp.stack([first, last + 1])
        of_each = jnp.where(whole == 0, 0, self.levels + 1 - _bits(whole & -whole))
        return jnp.where(at == whole.astype(self.dtype), of_each, self.levels).max()

    def _ends(
        self,
        key: jax.Array,
        at: jax.Array,
        cells: jax.Array,
        shared: jax.Array,
        depth: jax.Array,
        common: Increment,
    ) -> Increment:
        """From the start to the middle of the `common` cell, and from there to the end.

        Two rows, of the start and of the end, go down side by side. On the way to the start the
        right halves that are passed are put before what was found, on the way to the end the left
        ones after it.
        """
        none = jnp.zeros((2, *self.shape), self.dtype)
        both = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, none.shape), common)
        halves = jax.vmap(self._halves, in_axes=(None, None, 0, 0))

        def down(i: jax.Array, carry: tuple[Increment, Increment, jax.Array]) -> tuple:
            cell, found, lengths = carry
            left, right = halves(key, i, cells >> (self.levels - i), cell)
            goes_right = ((cells >> (self.levels - 1 - i)) & 1) == 1
            passes = (jnp.array([False, True]) == goes_right) & (i > shared)
            length = jnp.ldexp(jnp.ones((), self.dtype), -(i + 1))
            more = _both_ways(found, _outer(right, left), lengths, length)
            found = _chosen(passes, more, found)
            return _chosen(goes_right, right, left), found, lengths + jnp.where(passes, length, 0)

        start = (both, Increment(none, none), jnp.zeros(2, self.dtype))
        cell, found, lengths = lax.fori_loop(shared, depth, down, start)
        length = jnp.ldexp(jnp.ones((), self.dtype), -depth)
        cell, length = self._cut(key, at, cells, depth, cell, length)
        found = _both_ways(found, cell, lengths, length)
        first, second = (jax.tree.map(lambda leaf, i=i: leaf[i], found) for i in (0, 1))
        lengths = lengths + length
        return joined(first, second, (lengths[0], lengths[1]))

    def _cut(
        self,
        key: jax.Array,
        at: jax.Array,
        cells: jax.Array,
        depth: jax.Array,
        cell: Increment,
        length: jax.Array,
    ) -> tuple[Increment, jax.Array]:
        """The parts that count of the two outermost cells, which may end inside."""
        fraction = at - cells.astype(self.dtype)
        inside = (fraction > 0) & (fraction < 1) & (depth == self.levels)
        fraction = jnp.where(inside, fraction, 0.5)

        def parts(cell: Increment) -> Increment:
            normals = jax.vmap(self._normals, in_axes=(None, 0))(key, (1 << self.levels) + cells)
            left, right = jax.vmap(split, in_axes=(0, None, 0, 0))(cell, length, fraction, normals)
            return _chosen(inside, _outer(right, left), cell)

        cell = lax.cond(inside.any(), parts, lambda cell: cell, cell)
        share = jnp.stack([1 - fraction[0], fraction[1]])
        return cell, length * jnp.where(inside, share, 1)

    def _halves(
        self, key: jax.Array, level: jax.Array, index: jax.Array, cell: Increment
    ) -> tuple[Increment, Increment]:
        length = jnp.ldexp(jnp.ones((), self.dtype), -level)
        return split(cell, length, 0.5, self._normals(key, (jnp.int32(1) << level) + index))

    def _normals(self, key: jax.Array, node: jax.Array) -> Normals:
        drawn = jax.random.normal(jax.random.fold_in(key, node), (2, *self.shape), self.dtype)
        return drawn[0], drawn[1]


def _bits(number: jax.Array) -> jax.Array:
    """How many binary digits a number has; 0 has none."""
    return 32 - lax.clz(number)


def _chosen(which: jax.Array, true: Increment, false: Increment) -> Increment:
    """One of two, or one of each pair of rows."""
    return jax.tree.map(
        lambda a, b: jnp.where(which.reshape(which.shape + (1,) * (a.ndim - which.ndim)), a, b),
        true,
        false,
    )


def _outer(of_start: Increment, of_end: Increment) -> Increment:
    """The first row of one and the second of the other."""
    return jax.tree.map(lambda a, b: jnp.stack([a[0], b[1]]), of_start, of_end)


def _both_ways(
    found: Increment, more: Increment, lengths: jax.Array, length: jax.Array
) -> Increment:
    """More before the first row, and after the second."""
    length = jnp.broadcast_to(length, (2,))

    def row(i: int, increment: Increment) -> Increment:
        return jax.tree.map(lambda leaf: leaf[i], increment)

    first = joined(row(0, more), row(0, found), (length[0], lengths[0]))
    second = joined(row(1, found), row(1, more), (lengths[1], length[1]))
    return jax.tree.map(lambda a, b: jnp.stack([a, b]), first, second)
