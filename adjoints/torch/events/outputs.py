"""The events that happened in a solve, as rows of one table of a size that is known before."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from ...steps.acceptance import CODES
from ..forward_pass import Jumped, Solved
from ..schedule import Schedule
from ..state import Config, Tensors


class EventRows(NamedTuple):
    """Times and states of events.

    Attributes
    ----------
    table : tensor, shape ``(max_events, 1 + 2 n)``
        The time, and the flat states before and after; infinite and zeros beyond the last. NaN
        after a breakdown.
    which : tensor of int, shape ``(max_events,)``
        Which of the events; -1 beyond the last.
    """

    table: torch.Tensor
    which: torch.Tensor


def event_rows(solved: Solved) -> EventRows | None:
    """Those of a solve; ``None`` where none are looked for."""
    schedule = solved.schedule
    if schedule is None or schedule.stop_map is None or not schedule.events:
        return None
    like = solved.ys[0]
    beyond = schedule.stop_map.max_events - len(solved.passed)
    rest = like.new_zeros(beyond, 1 + 2 * like.numel())
    rest[:, 0] = math.inf
    own = [
        torch.cat([x.time.reshape(1), x.before.reshape(-1), x.after.reshape(-1)])
        for x in solved.passed
    ]
    which = (*schedule.happened[: len(own)], *(-1,) * beyond)
    table = torch.cat([torch.stack(own), rest]) if own else rest
    if solved.work.status != CODES["ok"]:
        table = torch.full_like(table, math.nan)
    return EventRows(table, torch.tensor(which, device=like.device))


def with_cotangents(
    config: Config,
    schedule: Schedule,
    jumps: tuple[Jumped, ...],
    dtable: torch.Tensor,
    params: Tensors,
    constants: Tensors,
) -> tuple[tuple[Jumped, ...], Tensors]:
    """The jumps, with the cotangents that a table of events brings in; and those of parameters.

    Parameters
    ----------
    config, schedule, jumps
        Of the solve.
    dtable : tensor, shape ``(max_events, 1 + 2 n)``
        Cotangents of the table.
    params, constants : tuple of tensor
    """
    dparams, found = tuple(map(torch.zeros_like, params)), []
    rows = iter(dtable)
    for jumped in jumps:
        row = None if schedule.event_of(jumped.number) is None else next(rows)
        if row is None or not bool(row.any()):
            found.append(jumped)
            continue
        dbefore, added = _cotangent(config, schedule, jumped, row, params, constants)
        dparams = tuple(x + y for x, y in zip(dparams, added, strict=True))
        found.append(jumped._replace(dbefore=dbefore))
    return tuple(found), dparams


def _cotangent(
    config: Config,
    schedule: Schedule,
    jumped: Jumped,
    row: torch.Tensor,
    params: Tensors,
    constants: Tensors,
) -> tuple[torch.Tensor, Tensors]:
    """The cotangents of the state before an event and of parameters, from that of its row."""

    def seen(y: torch.Tensor, p: Tensors) -> Tensors:
        own = (jumped.number, jumped.t, y, (p, constants), config.derivatives)
        passed = schedule.passed(*own)
        assert passed is not None
        return passed.time, passed.before, passed.after

    dtime, dbefore, dafter = row.split([1, jumped.before.numel(), jumped.before.numel()])
    shape = jumped.before.shape
    own = (dtime[0], dbefore.reshape(shape), dafter.reshape(shape))
    return config.derivatives.vjp(seen, jumped.before, params)[1](own)
