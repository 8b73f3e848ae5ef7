"""What a solve returns as tensors, and the cotangents of that."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .events.outputs import event_rows
from .forward_pass import Solved
from .native import engine as native
from .schedule import Schedule
from .state import Config, Tensors


class Outputs(NamedTuple):
    """What a solve returns: ``numbers`` are status, accepted steps, attempts, iterations.

    Where dense output is wanted, ``ys`` goes on with the states from which the steps start.
    ``events`` and ``event_index`` are :class:`.events.outputs.EventRows`, where any are looked for.
    """

    ys: torch.Tensor
    totals: torch.Tensor
    events: torch.Tensor | None
    numbers: torch.Tensor
    event_index: torch.Tensor | None
    steps: torch.Tensor

    @property
    def given(self) -> Tensors:
        """All that there are, those that are differentiated first."""
        return tuple(x for x in self if x is not None)

    @classmethod
    def of(cls, given: Tensors) -> Outputs:
        """From all that there are."""
        if len(given) == len(cls._fields):
            return cls(*given)
        ys, totals, numbers, steps = given
        return cls(ys, totals, None, numbers, None, steps)


class Cotangents(NamedTuple):
    """Those of the first :class:`Outputs`; ``None`` where nothing enters by one."""

    ys: torch.Tensor
    totals: torch.Tensor | None = None
    events: torch.Tensor | None = None


def outputs_of(config: Config, solved: Solved) -> Outputs:
    """The outputs of a finished solve."""
    work = solved.work
    device = solved.ys.device
    counts = (work.status, work.accepted, work.attempts, work.iterations)
    numbers = torch.tensor(counts, device=device)
    totals = solved.ys.new_zeros(3)
    if isinstance(solved.record, native.NativeRecord):
        totals = solved.record.totals
    elif solved.terms is not None:
        totals = reduced(config, solved.terms)
    ys = torch.cat([solved.ys, solved.record.y]) if config.dense_output else solved.ys
    events, which = event_rows(solved) or (None, None)
    return Outputs(ys, totals, events, numbers, which, solved.times[:, :2])


def reduced(config: Config, terms: torch.Tensor, count: torch.Tensor | None = None) -> torch.Tensor:
    """The regularisers, shape (3,), from the terms of all steps.

    Parameters
    ----------
    config
    terms : tensor, shape (rows, 3)
    count : tensor, optional
        How many of the rows are steps, where others of zeros fill them up.
    """
    if len(terms) == 0:
        return terms.sum(dim=0)
    if config.reduction == "max":
        return terms.max(dim=0).values
    if config.reduction == "sum":
        return terms.sum(dim=0)
    return terms.mean(dim=0) if count is None else terms.sum(dim=0) / count


def pulled_terms(
    config: Config, terms: torch.Tensor, dtotals: torch.Tensor, count: torch.Tensor | None = None
) -> torch.Tensor:
    """The cotangents of the `terms` of :func:`reduced`."""
    found = dtotals.nan_to_num().expand_as(terms)
    if config.reduction == "sum":
        return found
    if config.reduction == "mean":
        return found / (len(terms) if count is None else count)
    largest = terms.argmax(dim=0, keepdim=True)
    return torch.zeros_like(terms).scatter(0, largest, found[:1])


def times_of_events(out: Outputs) -> torch.Tensor:
    """The times of a solve's events; none where none are looked for."""
    return out.totals.new_zeros(0) if out.events is None else out.events[:, 0]


def cotangents_of_events(out: Outputs, dtimes: torch.Tensor) -> torch.Tensor | None:
    """The cotangents of the table, from those of the times."""
    if out.events is None:
        return None
    dtable = torch.zeros_like(out.events)
    dtable[:, 0] = dtimes
    return dtable


def before_terminal(schedule: Schedule, out: Outputs, times: torch.Tensor) -> torch.Tensor:
    """Save times, those behind a terminal event without a derivative: the state rests there."""
    if out.events is None or out.event_index is None:
        return times
    ends = times.new_tensor([*(event.terminal for event in schedule.events), False])
    # Behind the last event the index is -1.
    ended = ends[out.event_index] > 0
    at = torch.where(ended, out.events[:, 0].detach(), torch.inf).amin()
    return torch.where(times.detach() > at, times.detach(), times)
