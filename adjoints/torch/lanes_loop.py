"""The loop of many lanes at once, and its reverse sweep, in PyTorch's own operations.

An attempt is made in every lane at once; one that is finished stays as it is while others go on.
The steps of a lane lie in rows, up to each stop filled up with steps of size zero, which change
nothing: so the reverse sweep of one solve, mapped over lanes, is that of all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.utils import _pytree as pytree

from ..steps.acceptance import CODES, RUNNING
from . import discrete
from .attempt import attempt, evaluate, judged, start
from .call import Call
from .forward_pass import Jumped, Record
from .outputs import Outputs, pulled_terms, reduced
from .schedule import CONSISTENT
from .state import Config, Operands, State, Tensors
from .stepping import clipper


class Found(NamedTuple):
    """What the forward pass of lanes leaves to the reverse one; the lanes are the first axis.

    ``t`` and ``h`` are starts and sizes of the steps, ``jumps`` the times of jumps and the states
    before them, ``told`` their numbers and how many rows come before each, ``rows`` how many there
    are up to each stop.
    """

    status: torch.Tensor
    accepted: torch.Tensor
    t: torch.Tensor
    h: torch.Tensor
    y: torch.Tensor
    terms: torch.Tensor
    jumps: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    told: tuple[tuple[int, int], ...]
    rows: tuple[int, ...]


def _before_the_end(
    t0: torch.Tensor, save_at: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which saves of a lane lie before its end, to go with states; and their times or the start."""
    before = save_at < save_at[-1]
    inside = torch.where(before, save_at, t0)
    return before.reshape(-1, *(1,) * y.ndim), inside


class ForwardPass:
    """The forward pass of lanes.

    Parameters
    ----------
    call : Call
        What each of them is told.
    config : Config
        With the number of lanes.
    shared : tuple of bool
        For start value and leaves, whether all lanes have the same.
    times : tuple of tensor
        Start and save times of every lane.
    tensors : tuple of tensor
        Start value and leaves.
    """

    def __init__(
        self,
        call: Call,
        config: Config,
        shared: tuple[bool, ...],
        times: Tensors,
        tensors: Tensors,
    ) -> None:
        self.call, self.config, self.shared, self.tensors = call, config, shared, tensors
        self.schedule, self.segments = call.schedule, call.schedule.segments()
        self.t0, self.save_at = times

    def mapped(self, function: Callable[..., Any], *columns: Any) -> Any:
        """``function(*columns, y0, *leaves)`` in each lane."""
        dims = (*(0 for _ in columns), *(None if s else 0 for s in self.shared))
        return torch.func.vmap(function, in_dims=dims)(*columns, *self.tensors)

    def operands(self, k: int, leaves: Tensors) -> Operands:
        """What the attempts within segment `k` read."""
        schedule, segments = self.schedule, self.segments
        end = leaves[-1][-1] if self.call.own_times else segments.ends[k]
        own = (end, segments.lower[k], segments.upper[k])
        return Operands(*self.call.split(leaves), schedule.rtol, schedule.atol, *own)

    def __call__(self) -> tuple[Found, Outputs]:
        """Solve from stop to stop, each lane at its own pace in between."""
        first = self.schedule.first_step

        def begin(t0: Any, save_at: Any, y0: torch.Tensor, *leaves: torch.Tensor) -> State:
            begins, consistent = None, self.schedule.consistent
            if consistent is not None:
                y0, begins = consistent(t0, y0, self.call.split(leaves))
            found = start(self.config, t0, y0, self.operands(0, leaves), first, save_at[-1])
            if begins is None:
                return found
            return found._replace(status=torch.where(begins == RUNNING, found.status, begins))

        state = self.mapped(begin, self.t0, self.save_at)
        pieces, jumps, told, rows = [], [], [], []
        if self.schedule.consistent is not None:
            given = self.mapped(lambda t0, y0, *leaves: y0 + 0.0 * t0, self.t0)
            jumps.append((self.t0, given))
            told.append((CONSISTENT, 0))
        for k, numbers in enumerate(self.segments.jumps):
            if k > 0:
                state = self.mapped(self.restarted(k), state)
            state, piece = self.to_stop(k, state)
            pieces.append(piece)
            rows.append(piece[0].shape[1] + (rows[-1] if rows else 0))
            for number in numbers:
                jumps.append((state.t, state.y))
                told.append((number, rows[-1]))
                state = state._replace(y=self.mapped(self.jumped(number), state))
        columns = [torch.cat(column, dim=1) for column in zip(*pieces, strict=True)]
        return self.finished(state, columns, (tuple(jumps), tuple(told), tuple(rows)))

    def restarted(self, k: int) -> Callable[..., State]:
        """The state from which segment `k` begins."""

        def one(state: State, y0: torch.Tensor, *leaves: torch.Tensor) -> State:
            ops = self.operands(k, leaves)
            clip = clipper(self.config, ops.lower, ops.upper)
            slope = self.config.rhs(clip(state.t), state.y, (ops.params, ops.constants))
            status = torch.where(state.status == CODES["ok"], RUNNING, state.status)
            return state._replace(slope=slope, status=status)

        return one

    def jumped(self, number: int) -> Callable[..., torch.Tensor]:
        """The state just after a jump."""

        def one(state: State, y0: torch.Tensor, *leaves: torch.Tensor) -> torch.Tensor:
            return self.schedule.jumped(number, state.t, state.y, self.call.split(leaves))

        return one

    def to_stop(self, k: int, state: State) -> tuple[State, Tensors]:
        """Make attempts until no lane goes on; the accepted steps of all."""

        def one(state: State, y0: torch.Tensor, *leaves: torch.Tensor) -> Any:
            found = attempt(self.config, state, self.operands(k, leaves))
            goes_on = state.status == RUNNING
            pairs = zip(judged(state, found), state, strict=True)
            after = State(*(torch.where(goes_on, new, old) for new, old in pairs))
            wanted = (found.row.times[:2], found.row.y, found.terms, found.coefficients)
            row = tuple(x for x in wanted if x is not None)
            return after, found.accept & goes_on, row

        taken, rows = [], []
        while bool((state.status == RUNNING).any()):
            for _ in range(self.config.look_every):
                state, accepted, row = self.mapped(one, state)
                taken.append(accepted)
                rows.append(row)
        if not rows:
            _, accepted, row = self.mapped(one, state)
            taken, rows = [torch.zeros_like(accepted)], [row]
        return state, _packed(state, torch.stack(taken), rows)

    def finished(
        self, state: State, columns: list[torch.Tensor], made: tuple[Any, Any, Any]
    ) -> tuple[Found, Outputs]:
        """What the reverse pass reads, and what is returned."""
        config, (steps, y, terms) = self.config, columns[:3]

        def one(
            state: State, t0: Any, save_at: Any, steps: Any, y: Any, terms: Any, *rest: Any
        ) -> Tensors:
            ys = state.y.expand(len(save_at), *state.y.shape)
            if config.dense and len(y):
                before, inside = _before_the_end(t0, save_at, state.y)
                ys = torch.where(before, evaluate(steps, y, rest[0], inside), ys)
            ys = torch.where(state.status == CODES["ok"], ys, math.nan)
            return ys, reduced(config, terms, state.accepted)

        ys, totals = torch.func.vmap(one)(state, self.t0, self.save_at, *columns)
        no_iterations = torch.zeros_like(state.attempts)
        counts = (state.status, state.accepted, state.attempts, no_iterations)
        numbers = torch.stack(counts, dim=-1)
        t, h = torch.cat([steps[..., 0], state.t[:, None]], dim=1), steps[..., 1]
        found = Found(state.status, state.accepted, t, h, y, terms, *made)
        return found, Outputs.of((ys, totals, numbers, steps))


def pulled_back(
    call: Call,
    config: Config,
    shared: tuple[bool, ...],
    times: Tensors,
    found: Found,
    cotangents: Tensors,
    tensors: Tensors,
) -> Tensors:
    """The reverse pass of all lanes: cotangents of start value and parameters in each.

    Parameters
    ----------
    call, config, shared, times, tensors
        As of the :class:`ForwardPass`.
    found : Found
    cotangents : tuple of tensor
        Of the first two outputs.
    """
    kept = (found.status, found.accepted, found.t, found.h, found.y, found.terms)
    columns = (cotangents, times, kept, found.jumps)

    def one(*given: Any) -> Tensors:
        cotangents, times, kept, jumps, _, *leaves = given
        lane = Found(*kept, jumps=jumps, told=found.told, rows=found.rows)
        return _pulled(config, call, lane, times, cotangents, tuple(leaves))

    dims = (*(0 for _ in columns), *(None if s else 0 for s in shared))
    return _in_each(one, dims, (*columns, *tensors), config.derivatives.batches)


def _in_each(
    function: Callable[..., Tensors], dims: tuple[Any, ...], inputs: tuple[Any, ...], batches: bool
) -> Tensors:
    """`function` in each lane, in all at once if it can be."""
    if batches:
        return torch.func.vmap(function, in_dims=dims)(*inputs)
    size = next(len(x) for x in pytree.tree_leaves(inputs))
    found = []
    for i in range(size):
        pairs = zip(inputs, dims, strict=True)
        own = [x if d is None else pytree.tree_map(lambda leaf, i=i: leaf[i], x) for x, d in pairs]
        found.append(function(*own))
    return tuple(torch.stack(column) for column in zip(*found, strict=True))


def _packed(state: State, taken: torch.Tensor, rows: list[Tensors]) -> Tensors:
    """The accepted steps of every lane without gaps, shapes (lanes, rows, ...).

    Parameters
    ----------
    state : State
        In which the lanes are after them.
    taken : tensor of bool, shape (attempts, lanes)
    rows : list of tuple of tensor
        For each attempt, the columns with one entry a lane.
    """
    most = int(taken.sum(dim=0).max())
    order = torch.argsort((~taken).to(torch.int8), dim=0, stable=True)[:most]
    lane = torch.arange(taken.shape[1], device=taken.device)
    real = taken[order, lane].T
    end = torch.stack([state.t, torch.zeros_like(state.t)], dim=-1)
    fillers = [end, state.y]

    def column(number: int, values: Tensors) -> torch.Tensor:
        packed = torch.stack(values)[order, lane].transpose(0, 1)
        apart = real.reshape(*real.shape, *(1,) * (packed.ndim - 2))
        if number < len(fillers):
            return torch.where(apart, packed, fillers[number][:, None])
        return torch.where(apart, packed, torch.zeros_like(packed))

    return tuple(column(i, values) for i, values in enumerate(zip(*rows, strict=True)))


def _pulled(
    config: Config,
    call: Call,
    found: Found,
    times: Tensors,
    cotangents: Tensors,
    leaves: Tensors,
) -> Tensors:
    """The reverse pass of one lane: NaN after a forward pass that broke down."""
    (t0, save_at), (dys, dtotals) = times, cotangents
    jumps = tuple(
        Jumped(number, t, before, rows)
        for (number, rows), (t, before) in zip(found.told, found.jumps, strict=True)
    )
    no_slopes = found.t.new_zeros((len(found.y), 0))
    record = Record(found.t, found.y, found.h, None, jumps, found.rows, no_slopes)
    dterms = pulled_terms(config, found.terms, dtotals, found.accepted)
    dterms = torch.where(found.h[:, None] > 0, dterms, torch.zeros_like(dterms))
    # Saves at the end are those of the last state; as many as before it stand for all.
    before, inside = _before_the_end(t0, save_at, dys[0])
    last = torch.where(before, 0.0, dys).sum(dim=0, keepdim=True)
    dys = torch.cat([torch.where(before, dys, 0.0), last])
    schedule = call.schedule._replace(
        t0=t0, save_at=torch.cat([inside, save_at[-1:]]), inner=len(save_at)
    )
    params, constants = call.split(leaves)
    swept = discrete.swept_back(config, schedule, record, dys, dterms, params, constants)
    broken = found.status != CODES["ok"]
    return tuple(torch.where(broken, math.nan, x) for x in (swept.dy0, *swept.dparams))
