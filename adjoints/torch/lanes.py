"""Lanes of a solve, as ``torch.func.vmap`` makes them: all in one loop, each with its own steps.

An attempt is made in every lane at once; one that is finished stays as it is while others go on.
The steps of a lane lie in rows, up to each stop filled up with steps of size zero, which change
nothing: so the reverse sweep of one solve, mapped over lanes, is that of all.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch.utils import _pytree as pytree

from ..native.calls import Calls, Kept
from ..native.loop import NativeLoop
from ..steps.acceptance import CODES, RUNNING
from . import discrete
from .attempt import attempt, evaluate, judged, start
from .call import Call, Outputs, pulled_terms, reduced
from .forward_pass import Jumped, Record
from .native import engine as native
from .plain_fallback import NEEDS_PLAIN, Functions, with_plain_fallback
from .state import Config, Operands, State, Tensors
from .stepping import clipper

#: Right-hand sides whose lanes are solved one after the other.
_ONE_BY_ONE = Functions()


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


def solved_together(call: Call) -> bool:
    """Whether lanes of the call can be solved in one loop; others are, one after the other."""
    config, rhs = call.config, call.config.rhs
    able = call.pull_back is discrete.pull_back and not config.compile and not config.given_steps
    # Newton's iterations end at different numbers from lane to lane.
    able = able and config.tableau.kind != "dirk"
    return able and rhs not in NEEDS_PLAIN and rhs not in _ONE_BY_ONE


def tell_one_by_one(call: Call, error: Exception) -> None:
    """Say once for a right-hand side that it cannot be mapped over lanes, and why."""
    _ONE_BY_ONE.add(call.config.rhs)
    reason = str(error).strip().split("\n")[0]
    warnings.warn(
        f"lanes are solved one after the other, as rhs cannot be mapped over them: {reason}",
        RuntimeWarning,
        stacklevel=2,
    )


@dataclass
class Lanes:
    """A call of many solves at once; in place of a :class:`~.call.Call` where lanes are one axis.

    Attributes
    ----------
    call : Call
        What each of them is told.
    size : int
    shared : tuple of bool
        For start value and leaves, whether all lanes have the same.
    found : Found
        By the forward pass.
    native : tuple of Calls and Kept
        Where they are solved by a native loop.
    ran : str
        Which engine ran.
    lanes : list of Lanes
        Those of all lanes together, where there are lanes of lanes.
    """

    call: Call
    size: int
    shared: tuple[bool, ...]
    found: Found | None = None
    native: tuple[Calls, Kept] | None = None
    ran: str = "torch"
    lanes: list[Lanes] = field(default_factory=list)
    transformed: bool = True

    @property
    def config(self) -> Config:
        """What each of the solves does."""
        return replace(self.call.config, lanes=self.size)

    def _natively(self, tensors: Tensors) -> Outputs | None:
        """Solve all by the native loop, if there is one."""
        call, first = self.call, self._lane(tensors, 0)
        same = self.shared[1 + call.smooth : len(first) - len(call.own_times)]
        # Of what is not differentiated the values are in the program.
        beyond = {"vmap over whole numbers in params": not all(same)}
        engine = call.with_engine(first[0], *call.split(first[1:]), **beyond)
        self.ran = engine.told
        if not isinstance(engine.loop, NativeLoop):
            return None
        schedules, pairs = [call.schedule], zip(tensors, self.shared, strict=True)
        if call.own_times:
            schedules = [
                call.schedule.of_one_lane(*t) for t in zip(*times_of(self, tensors), strict=True)
            ]
        y0, *leaves = (x[None] if same else x for x, same in pairs)
        y0 = y0.expand(self.size, *y0.shape[1:])
        calls = native.calls_of(engine.loop, call.config, schedules, y0, leaves[: call.smooth])
        ys, kept = calls.solve()
        self.native, counts = (calls, kept), torch.from_numpy(kept.counts[:, :3]).long()
        numbers = torch.cat([counts, torch.zeros_like(counts[:, :1])], dim=1)
        steps = torch.from_numpy(kept.steps[:, : max(1, kept.counts[:, 1].max())])
        steps = [x[:count] for x, count in zip(steps, kept.counts[:, 1].tolist(), strict=True)]
        shape = (self.size, len(call.schedule.save_at), *first[0].shape)
        totals = torch.from_numpy(calls.estimates(kept))
        return Outputs(torch.from_numpy(ys).reshape(shape), totals, numbers, padded(steps))

    def _lane(self, tensors: Tensors, i: int) -> Tensors:
        """What one of the lanes is called with."""
        return tuple(x if same else x[i] for x, same in zip(tensors, self.shared, strict=True))

    def summed(self, found: Tensors) -> Tensors:
        """Cotangents of every lane, added up where the lanes share what they belong to."""
        pairs = zip(found, self.shared[: len(found)], strict=True)
        return tuple(x.sum(dim=0) if shared else x for x, shared in pairs)

    def entered(
        self,
        call: Call | Lanes,
        tensors: list[torch.Tensor],
        shared: tuple[bool, ...],
        cotangents: int = 0,
    ) -> list[torch.Tensor]:
        """Tensors for this, from those for `call`, whose lanes are within each of these lanes.

        Parameters
        ----------
        call : Call or Lanes
            Under ``vmap``.
        tensors : list of tensor
        shared : tuple of bool
            For each, whether all lanes of the ``vmap`` have the same.
        cotangents : int
            How many of the tensors are cotangents, which all lanes have of their own.
        """
        inside = call.shared if isinstance(call, Lanes) else (True,) * len(self.shared)
        within = (not isinstance(call, Lanes),) * cotangents + inside
        inner = call.size if isinstance(call, Lanes) else 1
        return [
            x if outer and same and i >= cotangents else _joined(x, outer, same, self.size, inner)
            for i, (x, outer, same) in enumerate(zip(tensors, shared, within, strict=True))
        ]

    def left(self, call: Call | Lanes, found: Tensors) -> Tensors:
        """Outputs for `call`, from those of this."""
        if not isinstance(call, Lanes):
            return tuple(found)
        return tuple(x.reshape(-1, call.size, *x.shape[1:]) for x in found)

    def run(self, y0: torch.Tensor, *leaves: torch.Tensor) -> Outputs:
        """Solve all, and keep what :meth:`pull` reads."""
        outputs = self._natively((y0, *leaves))
        if outputs is not None:
            return outputs
        self.found, outputs = _Solve(self, (y0, *leaves))()
        return outputs

    def pull(self, dys: torch.Tensor, dtotals: torch.Tensor, *tensors: torch.Tensor) -> Tensors:
        """Cotangents of start value and parameters: one in each lane, also where they share it."""
        if self.native is not None:
            like = (self._lane(tensors, 0))[: 1 + self.call.smooth]
            return native.pulled_lanes(*self.native, dys, dtotals, like)
        found, call = self.found, self.call
        assert found is not None
        kept = (found.status, found.accepted, found.t, found.h, found.y, found.terms)
        columns = (dys, dtotals, times_of(self, tensors), kept, found.jumps)

        def run(config: Config) -> Tensors:
            def one(*given: Any) -> Tensors:
                dys, dtotals, times, kept, jumps, _, *leaves = given
                lane = Found(*kept, jumps=jumps, told=found.told, rows=found.rows)
                return _pulled(config, call, lane, times, (dys, dtotals), tuple(leaves))

            dims = (*(0 for _ in columns), *(None if s else 0 for s in self.shared))
            return _in_each(one, dims, (*columns, *tensors), config.derivatives.batches)

        return with_plain_fallback(self.config, run)


def padded(steps: Sequence[torch.Tensor]) -> torch.Tensor:
    """Steps of all lanes, filled up with steps of size zero at the end."""
    most = max(x.shape[0] for x in steps)

    def fill(x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] == 0:
            return x.new_zeros(most, 2)
        end = torch.stack([x[-1, 0] + x[-1, 1], torch.zeros_like(x[-1, 1])])
        return torch.cat([x, end.expand(most - x.shape[0], 2)])

    return torch.stack([fill(x) for x in steps])


def lanes_of(call: Call | Lanes, size: int, shared: tuple[bool, ...]) -> Lanes:
    """Lanes of a call; of one of lanes, all of them together."""
    if not isinstance(call, Lanes):
        return Lanes(call, size, shared)
    both = tuple(a and b for a, b in zip(shared, call.shared, strict=True))
    return Lanes(call.call, size * call.size, both)


def _joined(x: torch.Tensor, outer: bool, same: bool, size: int, inner: int) -> torch.Tensor:
    """A tensor with one axis for lanes and the lanes within them."""
    shape = x.shape[(not outer) + (not same) :]
    x = x[None] if outer else x
    x = x[:, None] if same else x
    return x.expand(size // inner, inner, *shape).reshape(size, *shape)


def times_of(lanes: Lanes, tensors: Tensors) -> Tensors:
    """Start and save times of every lane, from what all of them are called with."""
    schedule, times = lanes.call.schedule, lanes.call.own_times
    found = tensors[-2:] if times else (schedule.t0, schedule.save_at)
    shared = lanes.shared[-2:] if times else (True, True)
    return tuple(
        (x.expand(lanes.size, *x.shape) if same else x).contiguous()
        for x, same in zip(found, shared, strict=True)
    )


def _before_the_end(
    t0: torch.Tensor, save_at: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which saves of a lane lie before its end, to go with states; and their times or the start."""
    before = save_at < save_at[-1]
    inside = torch.where(before, save_at, t0)
    return before.reshape(-1, *(1,) * y.ndim), inside


class _Solve:
    """The forward pass of lanes."""

    def __init__(self, lanes: Lanes, tensors: Tensors) -> None:
        self.lanes, self.call, self.tensors = lanes, lanes.call, tensors
        self.config, self.schedule = lanes.config, lanes.call.schedule
        self.segments = self.schedule.segments()
        self.t0, self.save_at = times_of(lanes, tensors)
        self.taken: list[torch.Tensor] = []
        self.rows: list[Tensors] = []

    def mapped(self, function: Callable[..., Any], *columns: Any) -> Any:
        """``function(*columns, y0, *leaves)`` in each lane."""
        dims = (*(0 for _ in columns), *(None if s else 0 for s in self.lanes.shared))
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
            return start(self.config, t0, y0, self.operands(0, leaves), first, save_at[-1])

        state = self.mapped(begin, self.t0, self.save_at)
        pieces, jumps, told, rows = [], [], [], []
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
        return found, Outputs(ys, totals, numbers, steps)


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
