"""The discrete adjoint: a reverse sweep over the accepted steps.

Differentiating a step ``y1 = step(y, params)`` at fixed ``t`` and ``h`` backwards turns the
cotangent ``w1`` of ``y1`` into ``w = w1 dstep/dy`` and adds ``w1 dstep/dparams`` to the
parameters' cotangent. Three forms of the same sweep:

- *compiled*: a loop of vector-Jacobian products of steps, in runs of many;
- *in blocks*, eagerly and for small states: the Jacobians by state of all steps at once, a product
  of small matrices for the cotangents, and one vector-Jacobian product of all steps for the
  parameters;
- *step by step*, eagerly and for large states.

References
----------
A. Sandu, "On the properties of Runge-Kutta discrete adjoints", ICCS 2006;
H. Zhang, A. Sandu, SIAM J. Sci. Comput. 36 (2014) C504-C523.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from .attempt import evaluate_transposed
from .call import Call, Counts, Pulled, swept_counts
from .compiled_sweep import sweep_compiled
from .forward_pass import Jumped, Record
from .recorded_step import Sources, Swept, jump_cotangent, plus, pull_slope, pull_step, step_outputs
from .schedule import Schedule
from .state import Config, Operands, Tensors

#: States up to this size are swept in blocks of so many steps.
BLOCK_STATES, BLOCK_STEPS = 8, 256

#: Steps of a block of all lanes together.
BLOCK_OF_LANES = 32768


def pull_back(
    call: Call,
    dys: torch.Tensor,
    dterms: torch.Tensor | None,
    params: Tensors,
    constants: Tensors,
) -> Pulled:
    """Cotangents of start value and parameters.

    Parameters
    ----------
    call : Call
        With what its forward pass found.
    dys : tensor, shape ``(len(save_at), *y0.shape)``
    dterms : tensor, shape (rows, 3), optional
        Cotangents of the regularisers' terms of each step.
    params, constants : tuple of tensor
    """
    assert call.solved is not None
    record = call.solved.record
    if call.config.compile and _is_zero(dterms):
        dterms = None
    swept = swept_back(call.config, call.schedule, record, dys, dterms, params, constants)
    return Pulled(swept.dy0, swept.dparams, _counts(call, swept))


def _is_zero(dterms: torch.Tensor | None) -> bool:
    """Whether the loss reads no regulariser, as far as a look costs nothing."""
    return dterms is not None and dterms.device.type == "cpu" and not bool(dterms.any())


def _counts(call: Call, swept: Swept) -> Counts:
    """What the sweep cost."""
    assert call.solved is not None
    steps, iterations = len(call.solved.record.y), call.solved.work.iterations
    tab = call.config.tableau
    counts = swept_counts(tab, steps, swept.compile_s, swept.compiled)
    if tab.kind != "dirk":
        return counts
    # Newton's iterations are made again, and each stage has its own Jacobian and one solve more.
    implicit = tab.steps - 1
    return counts._replace(
        rhs_evals=iterations + steps,
        jacobian_evals=(1 + implicit) * steps,
        linear_solves=iterations + implicit * steps,
    )


def swept_back(
    config: Config,
    schedule: Schedule,
    record: Record,
    dys: torch.Tensor,
    dterms: torch.Tensor | None,
    params: Tensors,
    constants: Tensors,
) -> Swept:
    """Cotangents of start value and parameters of the solve that made `record`."""
    times = record.times(schedule)
    sources = sources_of(config, times, schedule, dys, dterms)
    w = dys[schedule.inner :].sum(dim=0)
    return sweep(config, record, times, schedule, w, sources, params, constants)


def sources_of(
    config: Config,
    times: torch.Tensor,
    schedule: Schedule,
    dys: torch.Tensor,
    dterms: torch.Tensor | None,
) -> Sources:
    """Where the cotangents of the saves before the end, and of the terms, enter.

    Parameters
    ----------
    config, schedule
    times : tensor, shape (rows, 5)
        Of the record.
    dys : tensor, shape ``(len(save_at), *y0.shape)``
    dterms : tensor, shape (rows, 3), optional
    """
    if not config.dense or len(times) == 0:
        return Sources(None, None, dterms)
    degree = config.tableau.dense.shape[1]
    n = schedule.inner
    entering = evaluate_transposed(times, degree, schedule.save_at[:n], dys[:n])
    return Sources(*entering, dterms)


def sweep(
    config: Config,
    record: Record,
    times: torch.Tensor,
    schedule: Schedule,
    w: torch.Tensor,
    sources: Sources,
    params: Tensors,
    constants: Tensors,
) -> Swept:
    """Carry the cotangent `w` of the last state back to the start; `times` are the record's."""
    wanted = replace(
        config,
        dense=sources.coefficients is not None,
        terms=sources.terms is not None,
        given_steps=False,
    )
    ops = _operands(schedule, params, constants)
    swept = Swept(w, tuple(torch.zeros_like(p) for p in params))
    if passes_slopes(wanted, w.numel()):
        swept = swept._replace(dslope=torch.zeros_like(w))
    columns = (times, record.y, record.first_slopes, *sources)
    last = len(record.y)
    for jumped in reversed(record.jumps):
        swept = _sweep_rows(wanted, columns, slice(jumped.rows, last), ops, swept)
        swept = _through_jump(config, schedule, jumped, ops, swept)
        last = jumped.rows
    swept = _sweep_rows(wanted, columns, slice(0, last), ops, swept)
    return pull_slope(wanted, ops, times[0, 0], record.y[0], swept) if last else swept


def passes_slopes(config: Config, states: int) -> bool:
    """Whether the sweep carries the cotangent of a step's first slope to the step before it.

    That slope is the last stage there, which only the embedded error and the stiffness estimate
    read: so it is pulled back once for both steps, and not once for each.
    """
    explicit = not (config.tableau.implicit or config.breaks)
    return config.terms and explicit and states > BLOCK_STATES and config.lanes == 1


def _operands(schedule: Schedule, params: Tensors, constants: Tensors) -> Operands:
    """The bounds of time are those of each row."""
    stop = schedule.save_at[-1]
    return Operands(params, constants, schedule.rtol, schedule.atol, stop, stop, stop)


def _through_jump(
    config: Config, schedule: Schedule, jumped: Jumped, ops: Operands, swept: Swept
) -> Swept:
    own = (config.derivatives, schedule, jumped)
    dy, dparams = jump_cotangent(*own, swept.dy0, ops.params, ops.constants)
    return swept._replace(dy0=dy, dparams=plus(swept.dparams, dparams))


def _sweep_rows(
    config: Config,
    columns: tuple[torch.Tensor | None, ...],
    rows: slice,
    ops: Operands,
    swept: Swept,
) -> Swept:
    """Sweep over some rows of `columns`: times, states, slopes, and the :class:`Sources`."""
    times, y, slopes, *own = (None if x is None else x[rows] for x in columns)
    sources = Sources(*own)
    assert times is not None
    assert y is not None
    if len(times) == 0:
        return swept
    if config.compile:
        done = sweep_compiled(config, times, y, slopes, ops, swept, sources)
        if done.compiled == "yes":
            return done
        swept = swept._replace(compiled=done.compiled, compile_s=done.compile_s)
    if y[0].numel() > BLOCK_STATES or not config.derivatives.batches:
        return _sweep_steps(config, times, y, slopes, ops, swept, sources)
    size = BLOCK_STEPS if config.lanes == 1 else max(1, BLOCK_OF_LANES // config.lanes)
    for first in reversed(range(0, len(times), size)):
        block = slice(first, first + size)
        part = Sources(*(None if x is None else x[block] for x in sources))
        swept = _sweep_block(config, times[block], y[block], ops, swept, part)
    return swept


def _sweep_steps(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    slopes: torch.Tensor | None,
    ops: Operands,
    swept: Swept,
    sources: Sources,
) -> Swept:
    """One vector-Jacobian product of a step after the other."""
    carried, dparams = swept.carried, swept.dparams
    for row in reversed(range(len(times))):
        own = Sources(*(None if x is None else x[row] for x in sources))
        first = None if slopes is None else slopes[row]
        carried, added = pull_step(config, ops, times[row], y[row], first, carried, own)
        dparams = plus(dparams, added)
    return swept.carried_on(carried, dparams)


def _sweep_block(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    ops: Operands,
    swept: Swept,
    sources: Sources,
) -> Swept:
    """All steps at once, but for the product of their matrices."""
    n, derivatives = y[0].numel(), config.derivatives

    def steps(y: torch.Tensor, params: Tensors) -> Tensors:
        def one(times: torch.Tensor, y: torch.Tensor) -> Tensors:
            return step_outputs(config, ops, times, y, params)

        return derivatives.rows(one, times, y)

    outputs, pull = derivatives.vjp(steps, y, ops.params)
    others = tuple(torch.zeros_like(x) for x in outputs[1:])
    jacobians = _jacobians(config, times, y, ops)
    entering = tuple(x for x in sources[1:] if x is not None)
    own = torch.zeros_like(y) if sources.y is None else sources.y
    if entering:
        own = own + pull((torch.zeros_like(outputs[0]), *entering))[0]
    own, w = own.reshape(len(y), n), swept.dy0.reshape(n)
    after = []
    for row in reversed(range(len(y))):
        after.append(w)
        w = w @ jacobians[row] + own[row]
    ws = torch.stack(after[::-1]).reshape(y.shape)
    _, dparams = pull((ws, *(entering or others)))
    return swept._replace(dy0=w.reshape(y.shape[1:]), dparams=plus(swept.dparams, dparams))


def _jacobians(config: Config, times: torch.Tensor, y: torch.Tensor, ops: Operands) -> torch.Tensor:
    """The derivatives of the new states by the states, shape (steps, n, n).

    Every step is taken once for each component of the new state, all of them together.
    """
    steps, n, derivatives = len(y), y[0].numel(), config.derivatives
    alone = replace(config, dense=False, terms=False)

    def one(times: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return step_outputs(alone, ops, times, y, ops.params)[0]

    def states(y: torch.Tensor) -> torch.Tensor:
        return derivatives.rows(one, times.repeat(n, 1), y)

    _, pull = derivatives.vjp(states, y.repeat(n, *(1,) * (y.ndim - 1)))
    units = torch.eye(n, dtype=y.dtype, device=y.device).repeat_interleave(steps, dim=0)
    (rows,) = pull(units.reshape(n * steps, *y.shape[1:]))
    return rows.reshape(n, steps, n).transpose(0, 1)
