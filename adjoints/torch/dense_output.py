"""The solution at any time: the stages of the step that holds it, computed again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..arguments import check_name
from ..state_layout import View
from ..steps.acceptance import CODES
from ..steps.runge_kutta import dense_value
from .call import Call
from .continuous import dense_of_rows
from .outputs import Outputs
from .plain_fallback import with_plain_fallback
from .slopes_by_times import moved_by_times
from .state import Config, Tensors
from .transforms import carries_derivative, is_batched, unwrapped

SIDES = ("after", "before")


@dataclass(frozen=True)
class DenseOutput:
    """The solution as a function of time.

    Of every accepted step its start is kept, differentiable as a save is. The stages of the step
    in which a time lies are computed again when the solution is read there, so that derivatives by
    parameters flow through them too.

    Attributes
    ----------
    call : Call
    times : tensor, shape (steps, 5)
        Start, size, end and bounds of every step.
    y : tensor, shape ``(steps, *y0.shape)``
        The states from which the steps start.
    y0, y_end : tensor
        The start value before any jump, and the last state after all.
    leaves : tuple of tensor
        Parameters and constants.
    jump_times : tuple of float
    view : View
        How the user sees states and times; all others here are those of the solve.
    """

    call: Call
    times: torch.Tensor
    y: torch.Tensor
    y0: torch.Tensor
    y_end: torch.Tensor
    leaves: Tensors
    jump_times: tuple[float, ...]
    view: View

    def __call__(self, t: Any, *, side: str = "after") -> Any:
        """The solution at `t`.

        Parameters
        ----------
        t : array_like
            Times in the span of the solve, in any order and shape. The derivative by them is the
            right-hand side, as that of saves.
        side : {"after", "before"}
            Which value is meant at the time of a jump, in the direction of the solve.

        Returns
        -------
        tensor, shape ``(*t.shape, *y0.shape)``, or a structure of them
            NaN after a breakdown.

        Raises
        ------
        ValueError
            For times outside the span.
        """
        check_name("side", side, SIDES)
        given = torch.as_tensor(t, dtype=self.y.dtype, device=self.y.device)
        times = self.view.turned(given)
        held = unwrapped(times.detach()).reshape(-1)
        t0, end = self._span
        outside = ~((held >= t0) & (held <= end))
        if bool(outside.any()):
            found, *ends = (float(self.view.turned(x)) for x in (held[outside][0], t0, end))
            raise ValueError(
                f"t has {found}, which is not between {min(ends)} and {max(ends)}, the span of "
                "the solve"
            )
        ys = self._read(times.reshape(-1), held, before=side == "before")
        return self.view.structure(ys.reshape(*times.shape, *self.y0.shape))

    @property
    def before_jumps(self) -> Any:
        """The states before the jumps, shape ``(jumps, *y0.shape)``, in the order of `jump_times`.

        Of several jumps at one time each has the state before all of them; those outside the
        span, which do not act, have NaN.
        """
        times = torch.tensor(self.jump_times, dtype=self.y.dtype, device=self.y.device)
        t0, end = self._span
        inside = (times >= t0) & (times <= end)
        held = torch.where(inside, times, t0)
        ys = self._read(held, held, before=True)
        return self.view.structure(_where(~inside, torch.full_like(self.y0, torch.nan), ys))

    @property
    def _span(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.call.schedule.t0, self.call.schedule.save_at[-1]

    def _read(self, times: torch.Tensor, held: torch.Tensor, *, before: bool) -> torch.Tensor:
        """The solution at times in the span, whose values are `held`."""
        t0, end = self._span
        if self.call.solved is None or self.call.solved.work.status != CODES["ok"]:
            return torch.full_like(self.y0, torch.nan).expand(len(held), *self.y0.shape)
        ys = self._interpolated(held, before=before)
        if not before:
            ys = _where(held >= end, self.y_end, ys)
        if carries_derivative(times):
            ys = moved_by_times(self.call, 1, times, ys, self.leaves, before=before)
        return _where(held <= t0, self.y0, ys) if before else ys

    def _interpolated(self, held: torch.Tensor, *, before: bool) -> torch.Tensor:
        """The dense output of the steps in which times lie; a step's end lies in it if `before`."""
        starts = self.times[:, 0].contiguous()
        at = torch.clamp(torch.searchsorted(starts, held, right=not before) - 1, min=0)
        rows, y, smooth = self.times[at], self.y[at], self.call.smooth
        parts = (self.leaves[:smooth], self.leaves[smooth:])

        def run(config: Config) -> torch.Tensor:
            return dense_of_rows(config, rows, y, self.call.schedule, *parts, order=1)

        coefficients = with_plain_fallback(self.call.config, run)
        own = (len(at), *(1,) * self.y0.ndim)
        h, fraction = rows[:, 1], (held - rows[:, 0]) / rows[:, 1]
        by_power = coefficients.movedim(1, 0)
        return dense_value(by_power, y, h.reshape(own), fraction.reshape(own))


def split_dense_output(
    call: Call,
    out: Outputs,
    y0: torch.Tensor,
    leaves: Tensors,
    jump_times: tuple[float, ...],
    view: View,
) -> tuple[Outputs, DenseOutput]:
    """What a solve returns without dense output, and the dense output."""
    assert call.solved is not None
    saves = len(call.schedule.save_at)
    ys, y = out.ys[:saves], out.ys[saves:]
    times = call.solved.record.times(call.schedule)
    return out._replace(ys=ys), DenseOutput(call, times, y, y0, ys[-1], leaves, jump_times, view)


def check_dense_output(config: Config, tensors: Tensors) -> None:
    """Refuse what does not combine with dense output."""
    if config.dense_output and config.through_step_size:
        raise ValueError(
            "dense_output=True: the steps that are kept are held fixed; leave out "
            "differentiate_step_size, or read the solution at save_at"
        )
    if config.dense_output and any(map(is_batched, tensors)):
        raise ValueError(
            "dense_output=True: under vmap every lane has steps of its own, so that their "
            "solutions cannot be kept together; read them at save_at, or solve one by one"
        )


def _where(times: torch.Tensor, there: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    """`there` at some of the times, `ys` at the others."""
    return torch.where(times.reshape(-1, *(1,) * (ys.ndim - 1)), there, ys)
