"""Continuous adjoints: the adjoint equation, integrated backwards by the same solver.

With ``s = -t`` all of them integrate, from ``s = -t1`` to ``s = -t0``,

    dw/ds = w df/dy        (adjoint)         dm/ds = w df/dparams        (quadrature)

adding the loss's cotangent to ``w`` at each save. They differ in where ``y(t)`` comes from and
in how ``m`` is integrated:

- *backsolve*: ``y`` is integrated backwards along with ``w`` and ``m`` (reset at each save);
  with *seminorm* ``m`` does not count in the error norm (Kidger et al. 2021);
- *interpolating*: ``y`` comes from the forward solve's dense output;
- *quadrature*: as interpolating, ``m`` by quadrature over the dense output of ``w`` afterwards.

References
----------
C. Rackauckas et al., "Universal differential equations", arXiv 2001.04385;
P. Kidger et al., "Hey, that's not an ODE", ICML 2021; Y. Ma et al., HPEC 2021.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from ..adjoint_units import AdjointUnits, adjoint_units
from ..steps.acceptance import CODES
from ..steps.stops import Stops
from .adjoint_equation import (
    AdjointField,
    AdjointJacobian,
    AdjointStop,
    Event,
    flat,
    packed_rows,
    quadrature,
    unflat,
)
from .call import Call, Counts, Pulled
from .forward_pass import Record, Solved, Work, solve_recording
from .recorded_step import jump_cotangent, plus
from .schedule import Schedule
from .state import Config, Operands, Row, Tensors
from .stats import linear_solves, rhs_evals
from .stepping import dense_of_step, take

CONTINUOUS = ("backsolve", "backsolve-seminorm", "interpolating", "quadrature")

#: The table of the forward dense output has a power of two of rows, at least so many, so that
#: what was compiled for one number of steps serves others.
FEWEST_ROWS = 64
#: Numbers that recorded steps write when they are taken again all at once.
LARGEST_BATCH = 2**22


def pull_back(
    kind: str,
    call: Call,
    dys: torch.Tensor,
    dterms: torch.Tensor | None,
    params: Tensors,
    constants: Tensors,
) -> Pulled:
    """Cotangents of start value and parameters, by the adjoint equation.

    Parameters
    ----------
    kind : str
        One of :data:`CONTINUOUS`.
    call : Call
        With what its forward pass found.
    dys : tensor, shape ``(len(save_at), *y0.shape)``
    dterms : tensor, optional
        Not read: the regularisers belong to the discrete solve.
    params, constants : tuple of tensor
    """
    del dterms
    forward, solved = call.schedule, call.solved
    assert solved is not None
    field = _field(kind, call, dys, params, constants)
    shape = field.shape
    read = (*params, *constants)
    if not field.back:
        read = (*read, _rows(call.config, forward, solved, params, constants))
    span = forward.save_at[-1] - forward.t0
    own = (call.reverse.rtol, call.reverse.atol)
    units = adjoint_units(*_seen_by_loss(solved, dys), params, span, *own)
    dys, solved = dys / units.unit, solved._replace(record=_divided(solved.record, units.unit))
    stops, events = _events(forward, solved.record)
    config = _reverse_config(call, field, breaks=stops.breaks)
    z, m = _last_state(field, forward, solved, dys, read)
    beside = m if field.alone else torch.zeros_like(m)
    jump = AdjointStop(field, forward, events, solved.ys, dys, beside)
    schedule = Schedule(
        t0=-forward.save_at[-1],
        stops=stops,
        save_at=-forward.t0[None],
        inner=0,
        rtol=_rtol(call.reverse.rtol, field, z),
        atol=_atol(call.reverse.atol, units, field, params),
        jump=jump,
    )
    back = solve_recording(config, z, (), read, schedule, keep=field.alone)
    counts = _counts(config, back.work)
    if counts.status != CODES["ok"]:
        none = torch.full_like(dys[-1], float("nan"))
        return Pulled(none, tuple(torch.full_like(p, float("nan")) for p in params), counts)
    offset = field.size if field.back else 0
    w, m = back.final.y[offset:].split([field.size, len(z) - offset - field.size])
    if field.alone:
        assert back.coefficients is not None
        along, nodes = field.along(read), _nodes(config) + 1
        integral, waits = quadrature(
            field,
            back.times,
            back.record.y,
            back.coefficients,
            along,
            nodes,
            call.reverse.rtol.min(),
            _atol_of_params(units, params, m),
        )
        m = jump.beside + integral
        counts = counts._replace(transfers=counts.transfers + waits)
    return Pulled(units.unit * w.reshape(shape), unflat(units.unit * m, params), counts)


def _seen_by_loss(
    solved: Solved, dys: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The states that cotangents enter at, the first state, and the cotangents."""
    record, pairs = solved.record, [(x.before, x.dbefore) for x in solved.record.jumps]
    known = [(y, dy) for y, dy in pairs if dy is not None]
    ys = torch.cat([solved.ys, *(y[None] for y, _ in known)])
    return ys, record.y[0], torch.cat([dys, *(dy[None] for _, dy in known)])


def _divided(record: Record, unit: torch.Tensor) -> Record:
    """The record with cotangents in another unit."""
    jumps = (x if x.dbefore is None else x._replace(dbefore=x.dbefore / unit) for x in record.jumps)
    return record._replace(jumps=tuple(jumps))


def _field(
    kind: str, call: Call, dys: torch.Tensor, params: Tensors, constants: Tensors
) -> AdjointField:
    """The right-hand side of the reverse solve."""
    return AdjointField(
        rhs=call.config.rhs,
        rhs_jacobian=call.config.jacobian,
        derivatives=call.config.derivatives,
        kind=kind,
        shape=tuple(dys.shape[1:]),
        smooth=len(params),
        others=len(constants),
    )


def _rows(
    config: Config, schedule: Schedule, solved: Solved, params: Tensors, constants: Tensors
) -> torch.Tensor:
    """The forward dense output as one table."""
    times, y = solved.record.times(schedule), solved.record.y
    coefficients = solved.coefficients
    if coefficients is None:
        coefficients = dense_of_rows(config, times, y, schedule, params, constants)
    rows = max(FEWEST_ROWS, 1 << (len(times) - 1).bit_length())
    return packed_rows(times, y, coefficients, rows)


def dense_of_rows(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    schedule: Schedule,
    params: Tensors,
    constants: Tensors,
    *,
    order: int = 0,
) -> torch.Tensor:
    """Dense output of recorded steps, their stages computed again, all at once.

    `order` is how often it will be differentiated.
    """
    config, stop = replace(config, terms=False), schedule.save_at[-1]
    ops = Operands(params, constants, schedule.rtol, schedule.atol, stop, stop, stop)

    def one(times: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        step = take(config, times, y, None, ops, order=order)
        return dense_of_step(config, Row(times, y), step, ops)

    n = y[0].numel()
    width = n * config.tableau.stages + n * n * int(config.tableau.implicit)
    chunk = max(1, LARGEST_BATCH // width)
    return config.derivatives.rows(one, times, y, chunk=chunk)


def _events(schedule: Schedule, record: Record) -> tuple[Stops, list[Event]]:
    """The times at which the reverse solve stops, and what it meets there.

    A save at the time of a jump is the value after it, so that going backwards saves come first.
    At a discontinuity the solve stops and goes on. What happens at the end of the forward solve
    is in the reverse state from the beginning.
    """
    stops, jumped = schedule.stops, {jump.number: jump for jump in record.jumps}
    sided = dict(zip(stops.times, stops.sided, strict=True))
    met = dict(zip(stops.times[stops.first :], stops.jumps[stops.first :], strict=True))
    saves: dict[float, tuple[int, ...]] = {}
    for number, t in enumerate(schedule.save_at[: schedule.inner].tolist()):
        saves[t] = (*saves.get(t, ()), number)
    start, end = float(schedule.t0), stops.times[-1]
    times = sorted({start, *stops.times, *saves}, reverse=True)
    events = [
        Event(saves.get(t, ()), () if t == end else tuple(jumped[n] for n in met.get(t, ())))
        for t in times
    ]
    acts = ((number,) if any(event) else () for number, event in enumerate(events))
    backwards = Stops(
        times=tuple(-t for t in times),
        first=1,
        sided=tuple(sided.get(t, False) for t in times),
        jumps=tuple(acts),
    )
    return backwards, events


def _reverse_config(call: Call, field: AdjointField, *, breaks: bool) -> Config:
    """How the reverse solve goes; steps that were given do not bound the number of its own."""
    given = call.config.given_steps
    return Config(
        rhs=field,
        solver=call.reverse.solver,
        max_steps=max(Config.max_steps if given else 0, call.config.max_steps),
        breaks=breaks,
        dense=field.alone,
        components=2 * field.size if field.kind == "backsolve-seminorm" else None,
        jacobian=AdjointJacobian(field) if field.alone else None,
        compile=call.config.compile,
        derivatives=field.derivatives,
    )


def _nodes(config: Config) -> int:
    """Gauss nodes enough for the order of the solver."""
    return (config.tableau.order + 2) // 2


def _last_state(
    field: AdjointField, schedule: Schedule, solved: Solved, dys: torch.Tensor, read: Tensors
) -> tuple[torch.Tensor, torch.Tensor]:
    """The flat reverse state at the end time, and the parameters' part of it by itself."""
    y, w, along = solved.ys[-1], dys[schedule.inner :].sum(dim=0), field.along(read)
    dm = tuple(torch.zeros_like(p) for p in along.params)
    at_end = len(schedule.stops.jumps[-1])
    for jumped in reversed(solved.record.jumps[len(solved.record.jumps) - at_end :]):
        y = jumped.before
        w, added = jump_cotangent(field.derivatives, schedule, jumped, w, *along[:2])
        dm = plus(dm, added)
    m = flat(dm, y)
    parts = [w.reshape(-1)] if field.alone else [w.reshape(-1), m]
    return torch.cat([y.reshape(-1), *parts] if field.back else parts), m


def _rtol(rtol: torch.Tensor, field: AdjointField, z: torch.Tensor) -> torch.Tensor:
    """A tolerance per component of the state serves ``y`` and ``w``; its least serves ``m``."""
    if rtol.ndim == 0:
        return rtol
    own = rtol.reshape(-1)
    parts = [own, own] if field.back else [own]
    rest = len(z) - sum(len(p) for p in parts)
    return torch.cat([*parts, own.min().expand(rest)])


def _atol(
    atol: torch.Tensor, units: AdjointUnits, field: AdjointField, params: Tensors
) -> torch.Tensor:
    """The absolute tolerances of the flat reverse state, each in its own unit."""

    def spread(atol: torch.Tensor) -> torch.Tensor:
        return atol.reshape(-1).expand(field.size)

    parts = [spread(atol)] if field.back else []
    parts.append(spread(units.atol))
    if not field.alone:
        parts.append(_atol_of_params(units, params, atol))
    return torch.cat(parts)


def _atol_of_params(units: AdjointUnits, params: Tensors, like: torch.Tensor) -> torch.Tensor:
    """The absolute tolerance of the parameters' gradient, flat."""
    own = zip(units.atol_params, params, strict=True)
    return torch.cat([like.new_zeros(0), *(atol.expand(p.numel()) for atol, p in own)])


def _counts(config: Config, work: Work) -> Counts:
    """What the reverse solve cost; the host waited once more, for the save times."""
    tab = config.tableau
    evals = rhs_evals(tab, work.attempts, work.iterations)
    return Counts(
        status=work.status,
        steps=work.accepted,
        rejected=work.attempts - work.accepted,
        rhs_evals=evals,
        vjp_evals=evals,
        jacobian_evals=work.attempts * int(tab.implicit),
        linear_solves=linear_solves(tab, work.attempts, work.iterations),
        transfers=work.transfers + 1,
        compile_s=work.compile_s,
        compiled=work.compiled,
    )
