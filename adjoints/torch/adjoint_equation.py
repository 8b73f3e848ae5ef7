"""The right-hand side of the adjoint equation, and what happens at its saves, stops and steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from ..methods.method import BACKWARD
from ..steps.runge_kutta import Rhs, dense_value, root_mean_square
from .derivatives import Derivatives
from .forward_pass import Jumped
from .recorded_step import jump_cotangent
from .schedule import Schedule
from .state import Tensors

#: Numbers of states that a quadrature takes at once.
LARGEST_QUADRATURE = 2**20

#: Parts into which steps of ``w`` are divided for the quadrature, at most.
MOST_PARTS = 4096


class Along(NamedTuple):
    """What the reverse solve reads: the problem, and the forward solution.

    ``rows`` are those of :func:`packed_rows`; ``None`` where the state is integrated backwards.
    """

    params: Tensors
    constants: Tensors
    rows: torch.Tensor | None


@dataclass(frozen=True)
class AdjointField:
    """The right-hand side of the reverse solve, on the flat state ``[y,] w[, m]``.

    Attributes
    ----------
    rhs, rhs_jacobian : callable
        Of the forward solve; the second may be ``None``.
    derivatives : Derivatives
        How those of `rhs` are taken.
    kind : str
        The name of the adjoint.
    shape : tuple of int
        Of the forward state.
    smooth, others : int
        How many parameters and constants the forward solve has.
    """

    rhs: Rhs
    rhs_jacobian: Callable[..., torch.Tensor] | None
    derivatives: Derivatives
    kind: str
    shape: tuple[int, ...]
    smooth: int
    others: int

    def __call__(
        self, s: torch.Tensor, z: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """``dz/ds``; ``params[1]`` is what the reverse solve reads."""
        along = self.along(params[1])
        y, w = self.split(s, z, along)
        if self.alone:
            _, pull = self.derivatives.vjp(lambda y: self.rhs(-s, y, along[:2]), y)
            return pull(w)[0].reshape(-1)

        def rhs(y: torch.Tensor, p: Tensors) -> torch.Tensor:
            return self.rhs(-s, y, (p, along.constants))

        slope, pull = self.derivatives.vjp(rhs, y, along.params)
        dw, dm = pull(w)
        parts = [dw.reshape(-1), flat(dm, z)]
        return torch.cat([-slope.reshape(-1), *parts] if self.back else parts)

    @property
    def back(self) -> bool:
        """Whether the state is integrated backwards too."""
        return self.kind in BACKWARD

    @property
    def alone(self) -> bool:
        """Whether the adjoint is all that is integrated."""
        return self.kind == "quadrature"

    @property
    def size(self) -> int:
        """Numbers of the forward state."""
        return math.prod(self.shape)

    def along(self, read: Tensors) -> Along:
        """What the reverse solve reads, by its names."""
        end = self.smooth + self.others
        rows = None if self.back else read[end]
        return Along(read[: self.smooth], read[self.smooth : end], rows)

    def split(
        self, s: torch.Tensor, z: torch.Tensor, along: Along
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """State and adjoint at ``s``."""
        n = self.size
        if self.back:
            return z[:n].reshape(self.shape), z[n : 2 * n].reshape(self.shape)
        assert along.rows is not None
        return dense_at(along.rows, self.shape, -s), z[:n].reshape(self.shape)


@dataclass(frozen=True)
class AdjointJacobian:
    """Of ``dw/ds`` by ``w``: the transpose of the right-hand side's own Jacobian.

    Forward mode of the right-hand side is cheaper than its vector-Jacobian products with all
    unit vectors.
    """

    field: AdjointField

    def __call__(
        self, s: torch.Tensor, z: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """The matrix at ``s``."""
        field = self.field
        along = field.along(params[1])
        y, _ = field.split(s, z, along)
        if field.rhs_jacobian is not None:
            return field.rhs_jacobian(-s, y, along[:2]).mT
        return field.derivatives.jacobian(lambda y: field.rhs(-s, y, along[:2]), y).mT


class Event(NamedTuple):
    """What the reverse solve meets at one time, going backwards: saves first, then jumps.

    ``jumped`` is in the order in which the jumps act, going forwards.
    """

    saves: tuple[int, ...] = ()
    jumped: tuple[Jumped, ...] = ()


class AdjointStop:
    """What happens to the reverse state at a save or at a stop of the forward solve.

    Parameters
    ----------
    field : AdjointField
    schedule : Schedule
        Of the forward solve.
    events : sequence of Event
    ys, dys : tensor
        The saves and their cotangents.
    beside : tensor
        The parameters' cotangent so far, flat. What jumps add to it is in the attribute of this
        name, where the reverse state does not hold it.
    """

    def __init__(
        self,
        field: AdjointField,
        schedule: Schedule,
        events: Sequence[Event],
        ys: torch.Tensor,
        dys: torch.Tensor,
        beside: torch.Tensor,
    ) -> None:
        self._field = field
        self._schedule = schedule
        self._events = events
        self._ys = ys
        self._dys = dys
        self.beside = beside

    def __call__(
        self, number: int, s: torch.Tensor, z: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """The reverse state after event `number`."""
        field, event = self._field, self._events[number]
        n, offset = field.size, field.size if field.back else 0
        y, w, m = z[:n], z[offset : offset + n], z[offset + n :]
        for save in event.saves:
            y = self._ys[save].reshape(-1)
            w = w + self._dys[save].reshape(-1)
        for jumped in reversed(event.jumped):
            along = field.along(params[1])
            y = jumped.before.reshape(-1)
            own = (field.derivatives, self._schedule, jumped)
            dw, dm = jump_cotangent(*own, w.reshape(field.shape), *along[:2])
            w, dm = dw.reshape(-1), flat(dm, z)
            if field.alone:
                self.beside = self.beside + dm
            else:
                m = m + dm
        return torch.cat([y, w, m] if field.back else [w, m])


def packed_rows(
    times: torch.Tensor, y: torch.Tensor, coefficients: torch.Tensor, rows: int
) -> torch.Tensor:
    """Dense output of all steps as one table, filled up to `rows` rows that begin at infinity.

    A row is start, size, state and coefficients of a step.
    """
    count = len(times)
    columns = (times[:, :2], y.reshape(count, -1), coefficients.reshape(count, -1))
    table = torch.cat(columns, dim=1)
    rest = table.new_zeros(rows - count, table.shape[1])
    rest[:, 0] = math.inf
    return torch.cat([table, rest])


def dense_at(rows: torch.Tensor, shape: tuple[int, ...], t: torch.Tensor) -> torch.Tensor:
    """The forward solution at time ``t``, from the row in which it lies."""
    n = math.prod(shape)
    index = torch.clamp((rows[:, 0] <= t).sum() - 1, min=0)
    row = rows.index_select(0, index[None])[0]
    size = torch.where(row[1] == 0, torch.ones_like(row[1]), row[1])
    coefficients = row[2 + n :].reshape(-1, *shape)
    return dense_value(coefficients, row[2 : 2 + n].reshape(shape), row[1], (t - row[0]) / size)


def quadrature(
    field: AdjointField,
    times: torch.Tensor,
    w: torch.Tensor,
    coefficients: torch.Tensor,
    along: Along,
    nodes: int,
    rtol: torch.Tensor,
    atol: torch.Tensor,
) -> tuple[torch.Tensor, int]:
    """The integral of ``w df/dparams`` over all steps of ``w``, by Gauss-Legendre quadrature.

    The adjoint may take steps that are too long for what is integrated: it does not feel how fast
    ``df/dparams`` changes. So steps are halved until the sums over their parts agree with those
    over half as many, within the tolerances; where they never do, the integral is NaN.

    Parameters
    ----------
    field : AdjointField
    times, w, coefficients : tensor
        Of the steps of the reverse solve, one row each.
    along : Along
    nodes : int
        On each part.
    rtol, atol : tensor
        The latter flat.

    Returns
    -------
    tensor
        Flat.
    int
        How often the host waited for a number.
    """
    parts, waits = 1, 0
    before = _sum_of_parts(field, times, w, coefficients, along, nodes, parts)
    while parts < MOST_PARTS:
        parts *= 2
        after = _sum_of_parts(field, times, w, coefficients, along, nodes, parts)
        off = root_mean_square((after - before) / (atol + rtol * after.abs()))
        waits += 1
        if not float(off) > 1:
            return after, waits
        before = after
    return before * float("nan"), waits


def _sum_of_parts(
    field: AdjointField,
    times: torch.Tensor,
    w: torch.Tensor,
    coefficients: torch.Tensor,
    along: Along,
    nodes: int,
    parts: int,
) -> torch.Tensor:
    """The integral with each step in so many equal parts."""
    fractions, weights = (
        torch.as_tensor(numbers, dtype=w.dtype, device=w.device)
        for numbers in _composite(nodes, parts)
    )
    total = flat(tuple(torch.zeros_like(p) for p in along.params), w)
    chunk = max(1, LARGEST_QUADRATURE // (nodes * parts * field.size))

    def on_step(
        times: torch.Tensor, w: torch.Tensor, coefficients: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        at = torch.func.vmap(lambda x: dense_value(coefficients, w, times[1], x))(fractions)
        return times[0] + fractions * times[1], at * (weights * times[1])[:, None]

    def slope(s: torch.Tensor, p: Tensors) -> torch.Tensor:
        assert along.rows is not None
        return field.rhs(-s, dense_at(along.rows, field.shape, -s), (p, along.constants))

    def slopes(s: torch.Tensor, p: Tensors) -> torch.Tensor:
        return field.derivatives.rows(lambda s: slope(s, p), s)

    for first in range(0, len(times), chunk):
        part = slice(first, first + chunk)
        s, ws = torch.func.vmap(on_step)(times[part], w[part], coefficients[part])
        _, pull = field.derivatives.vjp(partial(slopes, s.reshape(-1)), along.params)
        total = total + flat(pull(ws.reshape(-1, *field.shape))[0], w)
    return total


def _composite(nodes: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes between 0 and 1 and weights of Gauss-Legendre quadrature on so many equal parts."""
    x, weights = np.polynomial.legendre.leggauss(nodes)
    fractions = np.add.outer(np.arange(parts), (x + 1) / 2).ravel() / parts
    return fractions, np.tile(weights / 2, parts) / parts


def flat(tensors: Tensors, like: torch.Tensor) -> torch.Tensor:
    """All numbers of some tensors in one, of the dtype of `like`."""
    return torch.cat([like.new_zeros(0), *(x.reshape(-1).to(like.dtype) for x in tensors)])


def unflat(numbers: torch.Tensor, like: Tensors) -> Tensors:
    """The reverse of :func:`flat`."""
    pieces = numbers.split([x.numel() for x in like])
    return tuple(piece.reshape(x.shape).to(x.dtype) for piece, x in zip(pieces, like, strict=True))
