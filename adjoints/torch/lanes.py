"""Lanes of a solve, as ``torch.func.vmap`` makes them: all together, each with its own steps.

By the native loop where there is one, else by :mod:`.lanes_loop`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from ..native.calls import Calls, Kept
from ..native.loop import NativeLoop
from . import discrete
from .call import Call
from .lanes_loop import ForwardPass, Found, pulled_back
from .native import engine as native
from .outputs import Outputs
from .plain_fallback import NEEDS_PLAIN, Functions, with_plain_fallback
from .state import Config, Tensors

#: Right-hand sides whose lanes are solved one after the other.
_ONE_BY_ONE = Functions()


def solved_together(call: Call) -> bool:
    """Whether lanes of the call can be solved in one loop; others are, one after the other."""
    config, rhs = call.config, call.config.rhs
    able = call.pull_back is discrete.pull_back and not config.compile and not config.given_steps
    able = able and config.window is None and call.schedule.stop_map is None
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
    #: How many outputs are differentiated.
    outputs: int = 2

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
        return Outputs.of((torch.from_numpy(ys).reshape(shape), totals, numbers, padded(steps)))

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
        tensors = (y0, *leaves)
        own = (self.shared, times_of(self, tensors))
        self.found, outputs = ForwardPass(self.call, self.config, *own, tensors)()
        return outputs

    def pull(self, dys: torch.Tensor, dtotals: torch.Tensor, *tensors: torch.Tensor) -> Tensors:
        """Cotangents of start value and parameters: one in each lane, also where they share it."""
        if self.native is not None:
            like = (self._lane(tensors, 0))[: 1 + self.call.smooth]
            return native.pulled_lanes(*self.native, dys, dtotals, like)
        found, own = self.found, (self.shared, times_of(self, tensors))
        assert found is not None

        def run(config: Config) -> Tensors:
            return pulled_back(self.call, config, *own, found, (dys, dtotals), tensors)

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
