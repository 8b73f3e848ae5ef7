"""Both passes of a solve by a native loop, on the memory of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...native.calls import Calls, Kept
from ...native.loop import NativeLoop
from ...native.operands import WINDOW_BYTES, Whole, numbers_of, stop_operands
from ..forward_pass import Solved, Work
from ..schedule import Schedule
from ..state import Config, Tensors
from ..transforms import hides_numbers


@dataclass
class NativeRecord:
    """What the reverse pass of a native loop reads.

    Attributes
    ----------
    calls : Calls
    kept : Kept
    totals : tensor, shape (3,)
        The estimates.
    """

    calls: Calls
    kept: Kept
    totals: torch.Tensor

    @property
    def nbytes(self) -> int:
        """The bytes that are kept: those that were written."""
        return self.calls.bytes_kept(self.kept)

    def times(self, schedule: Schedule) -> torch.Tensor:
        """Start and size of every step."""
        return torch.from_numpy(self.kept.steps[0, : self.kept.counts[0, 1]])


def solved(
    loop: NativeLoop, config: Config, schedule: Schedule, y0: torch.Tensor, params: Tensors
) -> Solved:
    """A finished solve."""
    calls = calls_of(loop, config, [schedule], y0[None], [x[None] for x in params])
    ys, kept = calls.solve()
    totals = calls.estimates(kept) if config.terms else np.zeros((1, 3), ys.dtype)
    record: Any = NativeRecord(calls, kept, torch.from_numpy(totals[0]))
    status, accepted, attempts, _ = kept.counts[0].tolist()
    work, none = Work(status, accepted, attempts, transfers=0), None
    ys = torch.from_numpy(ys).reshape(len(schedule.save_at), *y0.shape)
    final: Any = none
    return Solved(ys, none, none, record.times(schedule), record, final=final, work=work)


def pulled_back(
    record: NativeRecord, dys: torch.Tensor, dtotals: torch.Tensor | None, like: Tensors
) -> Tensors:
    """The cotangents of start value and parameters, of the shapes of `like`."""
    wanted = None if dtotals is None else dtotals[None]
    lanes = pulled_lanes(record.calls, record.kept, dys[None], wanted, like)
    return tuple(x[0] for x in lanes)


def pulled_lanes(
    calls: Calls, kept: Kept, dys: torch.Tensor, dtotals: torch.Tensor | None, like: Tensors
) -> Tensors:
    """The same of many solves, with an axis of lanes in front; `like` are without it."""
    none = dys.new_zeros(len(dys), 3)
    given = torch.cat([dys.reshape(len(dys), -1), none if dtotals is None else dtotals], dim=1)
    if hides_numbers(given):
        # Of all of them, to which it is linear.
        unit = torch.eye(given.shape[1], dtype=given.dtype).expand(len(given), -1, -1)
        rows = [_pulled(calls, kept, x.contiguous().numpy()) for x in unit.unbind(1)]
        pairs = zip(given.unbind(0), torch.stack(rows, dim=1), strict=True)
        flat = torch.stack([cotangent @ matrix for cotangent, matrix in pairs])
    else:
        flat = _pulled(calls, kept, given.numpy())
    parts = flat.split([x.numel() for x in like], dim=1)
    return tuple(part.reshape(-1, *x.shape) for part, x in zip(parts, like, strict=True))


def _pulled(calls: Calls, kept: Kept, cotangents: np.ndarray) -> torch.Tensor:
    dys, dtotals = np.ascontiguousarray(cotangents[:, :-3]), cotangents[:, -3:]
    wanted = np.ascontiguousarray(dtotals) if dtotals.any() else None
    return torch.from_numpy(np.concatenate(calls.pull_back(kept, dys, wanted), axis=1))


def calls_of(
    loop: NativeLoop,
    config: Config,
    schedules: Sequence[Schedule],
    y0: torch.Tensor,
    params: Sequence[torch.Tensor],
) -> Calls:
    """The calls of a loop, on what some solves read.

    Parameters
    ----------
    loop, config
    schedules : sequence of Schedule
        One for all of them, or for each.
    y0, params : tensor, sequence of tensor
        With an axis of solves in front, which has one element where all have the same.
    """
    schedule, dtype, count = schedules[0], loop.data.dtype, max(len(x) for x in (y0, *params))
    stops = [
        np.stack(x) for x in zip(*(stop_operands(s.stops, dtype) for s in schedules), strict=True)
    ]
    given, control = np.zeros((1, 0, 2), dtype), "error"
    if schedule.steps is not None:
        given, control = torch.stack(schedule.steps, dim=1).numpy(), "given"
        given = given[given[:, 1] != 0][None]
        stops[-1][:, 2] = given.shape[1]
    first = None if schedule.first_step is None else float(schedule.first_step)
    window = loop.window(config.max_steps, WINDOW_BYTES)
    whole = Whole(
        saves=len(schedule.save_at),
        jumps_a_stop=stops[2].shape[2],
        max_steps=config.max_steps,
        window=window if config.window is None else min(window, config.window),
        control=control,
        absolute=config.error_norm == "absolute",
        reduction=config.reduction,
    )
    leaves = [x.numpy().reshape(len(x), -1) for x in params]
    rows = max((len(x) for x in leaves), default=1)
    leaves = [*leaves, loop.data[None]]
    numbers = (numbers_of(float(s.t0), first, config.max_step, dtype) for s in schedules)
    operands = [
        y0.numpy(),
        np.concatenate([np.broadcast_to(x, (rows, x.shape[1])) for x in leaves], axis=1),
        *(x.expand(y0.shape[1:]).numpy()[None] for x in (schedule.rtol, schedule.atol)),
        np.stack(list(numbers)),
        np.stack([s.save_at.numpy() for s in schedules]),
        *stops,
        given,
    ]
    return Calls(loop, whole, [np.ascontiguousarray(x) for x in operands], count)
