"""Both passes of a solve by a native loop, on the memory of tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...native.calls import Calls, Kept
from ...native.loop import NativeLoop
from ...native.operands import Whole, numbers_of, stop_operands
from ..forward_pass import Solved, Work
from ..schedule import Schedule
from ..state import Config, Tensors

#: Bytes of accepted steps that are kept with their stages.
WINDOW_BYTES = 1 << 22


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

    @property
    def y(self) -> np.ndarray:
        """The steps, for their number."""
        return self.kept.steps[: self.kept.accepted]

    def times(self, schedule: Schedule) -> torch.Tensor:
        """Start and size of every step."""
        return torch.from_numpy(self.kept.steps[: self.kept.accepted])


def solved(
    loop: NativeLoop, config: Config, schedule: Schedule, y0: torch.Tensor, params: Tensors
) -> Solved:
    """A finished solve."""
    calls = _calls(loop, config, schedule, y0, params)
    ys, kept = calls.solve()
    totals = calls.estimates(kept) if config.terms else np.zeros(3, ys.dtype)
    record: Any = NativeRecord(calls, kept, torch.from_numpy(totals))
    work = Work(kept.status, kept.accepted, kept.attempts, transfers=0)
    ys = torch.from_numpy(ys).reshape(len(schedule.save_at), *y0.shape)
    none: Any = None
    return Solved(ys, None, None, record.times(schedule), record, final=none, work=work)


def pulled_back(
    record: NativeRecord, dys: torch.Tensor, dtotals: torch.Tensor | None, like: Tensors
) -> Tensors:
    """The cotangents of start value and parameters, of the shapes of `like`."""
    wanted = None if dtotals is None or not dtotals.any() else dtotals.contiguous().numpy()
    dy0, dp = record.calls.pull_back(record.kept, dys.contiguous().numpy(), wanted)
    flat = torch.from_numpy(np.concatenate([dy0, dp]))
    parts = flat.split([x.numel() for x in like])
    return tuple(part.reshape(x.shape) for part, x in zip(parts, like, strict=True))


def _calls(
    loop: NativeLoop, config: Config, schedule: Schedule, y0: torch.Tensor, params: Tensors
) -> Calls:
    """The calls of a loop, on what a solve reads."""
    y = y0.numpy().ravel()
    p = np.concatenate([*(x.numpy().ravel() for x in params), loop.data]).astype(y.dtype)
    given, control = np.zeros((0, 2), y.dtype), "error"
    stops = stop_operands(schedule.stops, y.dtype)
    if schedule.steps is not None:
        given, control = torch.stack(schedule.steps, dim=1).numpy(), "given"
        given = np.ascontiguousarray(given[given[:, 1] != 0])
        stops[-1][2] = len(given)
    tolerances = (schedule.rtol, schedule.atol)
    first = None if schedule.first_step is None else float(schedule.first_step)
    whole = Whole(
        saves=len(schedule.save_at),
        jumps_a_stop=stops[2].shape[1],
        max_steps=config.max_steps,
        window=loop.window(config.max_steps, WINDOW_BYTES),
        control=control,
        absolute=config.error_norm == "absolute",
        reduction=config.reduction,
    )
    operands = [
        y,
        p,
        *(np.ascontiguousarray(x.expand(y0.shape).numpy()).ravel() for x in tolerances),
        numbers_of(float(schedule.t0), first, config.max_step, y.dtype),
        schedule.save_at.numpy(),
        *stops,
        given,
    ]
    return Calls(loop, whole, operands)
