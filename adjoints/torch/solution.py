"""``Solution``: what a solve returns, the inside of the solver as differentiable outputs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from ..result import STATUSES
from ..solution import Events, OpenSolution
from ..state_layout import View
from .call import Call
from .dense_output import DenseOutput
from .outputs import Outputs
from .stats import linear_solves, rhs_evals
from .systems.found import solved_how
from .transforms import is_wrapped


class EventRecord(NamedTuple):
    """What a solution has of its events."""

    events: Events


@dataclass(frozen=True)
class Solution(OpenSolution[Any]):
    """A solve: see :class:`~adjointbench.adjoints.solution.OpenSolution`; and its ``status``.

    Attributes
    ----------
    steps : tuple of tensor
        ``(t, h)`` of the accepted steps, with negative sizes backwards; ``solve(...,
        steps=these)`` takes them again. Under ``vmap`` filled up with steps of size zero at the
        end time.
    compiled : str or None
        Where ``compile=True`` asked for it: ``"yes"``, or why the loop ran eagerly.
    transfers : int or None
        How often the host waited for numbers from the device; ``None`` under ``vmap``.
    """

    steps: tuple[torch.Tensor, torch.Tensor]
    compiled: str | None = None
    transfers: int | None = None

    @property
    def status(self) -> Any:
        """``"ok"`` or what went wrong; the integer codes for a batch."""
        code = self.status_code
        if is_wrapped(code) or code.ndim:
            return code
        return STATUSES[int(code)]


def solution_of(call: Call, out: Outputs, dense_output: DenseOutput | None, view: View) -> Solution:
    """The solution that a call's outputs make, as its user sees it."""
    tab = call.config.tableau
    status, accepted, attempts, iterations = out.numbers.unbind(-1)
    error, squared, stiff = out.totals.unbind(-1)
    work = None if call.lanes or call.solved is None else call.solved.work
    steps = view.turned(out.steps)
    if work is not None and work.compiled not in ("", "yes"):
        # Seen by whoever called `solve`.
        warnings.warn(f"compile=True: runs eagerly. {work.compiled}", RuntimeWarning, stacklevel=3)
    ran = call.lanes[0].ran if call.lanes else call.ran
    return Solution(
        ys=view.structure(out.ys),
        error_estimate=error if tab.adaptive else None,
        error_squared=squared if tab.adaptive else None,
        stiffness_estimate=stiff if call.config.estimates_stiffness else None,
        stats={
            "steps": accepted,
            "rejected": attempts - accepted,
            "rhs_evals": rhs_evals(tab, attempts, iterations),
            "jacobian_evals": attempts * int(tab.implicit),
            "linear_solves": linear_solves(tab, attempts, iterations),
        },
        status_code=status,
        steps=(steps[..., 0], steps[..., 1]),
        compiled=(work.compiled or None) if work is not None else None,
        transfers=None if work is None else work.transfers,
        dense_output=dense_output,
        engine=ran,
        linear_solver=solved_how(call.config, ran),
        event_record=_event_record(out, view),
    )


def _event_record(out: Outputs, view: View) -> EventRecord | None:
    """The events, as their user sees them; ``None`` where none are looked for."""
    if out.events is None or out.event_index is None:
        return None
    which, times = out.event_index, view.turned(out.events[..., 0])
    before, after = (
        view.structure(part.reshape(*which.shape, *out.ys.shape[which.ndim :]))
        for part in out.events[..., 1:].chunk(2, dim=-1)
    )
    times = torch.where(which >= 0, times, torch.inf)
    return EventRecord(Events(times, which, before, after))
