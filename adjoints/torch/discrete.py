"""The discrete adjoint: a reverse sweep over the accepted steps.

Differentiating a step ``y1 = step(y, params)`` at fixed ``t`` and ``h`` backwards turns the
cotangent ``w1`` of ``y1`` into ``w = w1 dstep/dy`` and adds ``w1 dstep/dparams`` to the
parameters' cotangent. Forms of the same sweep:

- *compiled*: a program of the vector-Jacobian product of a step, or a loop of them;
- *in blocks*, eagerly and for small states: the Jacobians by state of all steps at once, a product
  of small matrices for the cotangents, and one vector-Jacobian product of all steps for the
  parameters;
- *stage by stage*, eagerly and for larger states; *step by step*, where a diagonally implicit step
  is read for more than its new state and stages.

References
----------
A. Sandu, "On the properties of Runge-Kutta discrete adjoints", ICCS 2006;
H. Zhang, A. Sandu, SIAM J. Sci. Comput. 36 (2014) C504-C523.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch

from .attempt import evaluate_transposed, row_of
from .block_sweep import sweep_block
from .call import Call, Counts, Pulled, swept_counts
from .compiled_sweep import sweep_compiled
from .dirk_sweep import DirkSweep, can_sweep_dirk
from .explicit_sweep import sweep_explicit
from .forward_pass import Jumped, Record
from .recorded_step import Sources, Swept, jump_cotangent, plus, pull_slope, pull_step
from .rosenbrock_sweep import RosenbrockSweep
from .schedule import Schedule
from .state import Config, Operands, Tensors
from .windows import Window, windows_backwards

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
    config = call.config
    if call.schedule.inner == 0:
        # Where only events read the dense output, nothing enters by it.
        config = replace(config, dense=False)
    swept = swept_back(config, call.schedule, record, dys, dterms, params, constants)
    return Pulled(swept.dy0, swept.dparams, _counts(call, swept))


def _counts(call: Call, swept: Swept) -> Counts:
    """What the sweep cost."""
    assert call.solved is not None
    record, iterations = call.solved.record, call.solved.work.iterations
    steps, tab = len(record.sizes), call.config.tableau
    counts = swept_counts(tab, steps, swept.compile_s, swept.compiled)
    if tab.kind != "dirk":
        again = (steps - len(record.y)) * tab.steps
        return counts._replace(rhs_evals=counts.rhs_evals + again)
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
    times, ops = record.times(schedule), _operands(schedule, params, constants)
    swept = Swept(dys[schedule.inner :].sum(dim=0), tuple(map(torch.zeros_like, params)))
    saves = schedule.save_at[: schedule.inner], dys[: schedule.inner]
    for window in windows_backwards(config, record, times, schedule, ops):
        sources = _sources_of(config, window, times, saves, dterms)
        swept = _sweep_window(config, window, schedule, swept, sources, ops)
    return swept


def _sources_of(
    config: Config,
    window: Window,
    times: torch.Tensor,
    saves: tuple[torch.Tensor, torch.Tensor],
    dterms: torch.Tensor | None,
) -> Sources:
    """Where the cotangents of the saves before the end, and of the terms, enter in a window.

    Parameters
    ----------
    config, window
    times : tensor, shape (rows, 5)
        Of the whole record.
    saves : tuple of tensor
        The saves before the end, and their cotangents.
    dterms : tensor, shape (rows, 3), optional
    """
    rows = slice(window.first, window.first + len(window.times))
    own = None if dterms is None else dterms[rows]
    if not config.dense or len(times) == 0:
        return Sources(None, None, own)
    if len(window.times) < len(times):
        at = row_of(times, saves[0])
        here = (at >= rows.start) & (at < rows.stop)
        saves = saves[0][here], saves[1][here]
    degree = config.tableau.dense.shape[1]
    return Sources(*evaluate_transposed(window.times, degree, *saves), own)


def _sweep_window(
    config: Config,
    window: Window,
    schedule: Schedule,
    swept: Swept,
    sources: Sources,
    ops: Operands,
) -> Swept:
    """Carry the cotangents at the end of a window back to its start."""
    _, record, times = window
    wanted = replace(
        config,
        dense=sources.coefficients is not None,
        terms=sources.terms is not None,
        given_steps=False,
    )
    if passes_slopes(wanted, swept.dy0.numel()):
        swept = swept._replace(dslope=torch.zeros_like(swept.dy0))
    columns = (times, record.y, record.first_slopes, *sources)
    last = len(record.y)
    for jumped in reversed(record.jumps):
        swept = _sweep_rows(wanted, record, columns, slice(jumped.rows, last), ops, swept)
        swept = _through_jump(config, schedule, jumped, ops, swept)
        last = jumped.rows
    swept = _sweep_rows(wanted, record, columns, slice(0, last), ops, swept)
    return pull_slope(wanted, ops, times[0, 0], record.y[0], swept) if last else swept


def passes_slopes(config: Config, states: int) -> bool:
    """Whether the sweep carries the cotangent of a step's first slope to the step before it.

    That slope is the last stage there, which only the embedded error and the stiffness estimate
    read: so it is pulled back once for both steps, and not once for each.
    """
    explicit = not (config.tableau.implicit or config.breaks)
    wanted = config.compile and config.terms and config.window is None
    return wanted and explicit and states > BLOCK_STATES


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
    record: Record,
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
        if config.tableau.kind == "rosenbrock" and config.lanes == 1:
            return RosenbrockSweep.over_rows(config, times, y, ops, swept, sources)
        if config.lanes == 1 and can_sweep_dirk(config, sources):
            return DirkSweep.over_rows(config, times, y, ops, swept, sources)
        if config.tableau.implicit or config.lanes > 1:
            return _sweep_steps(config, times, y, slopes, ops, swept, sources)
        ends = tuple(x - rows.start for x in record.rows if rows.start < x < rows.stop)
        return _sweep_stages(config, ends, times, y, ops, swept, sources)
    size = BLOCK_STEPS if config.lanes == 1 else max(1, BLOCK_OF_LANES // config.lanes)
    for first in reversed(range(0, len(times), size)):
        block = slice(first, first + size)
        part = Sources(*(None if x is None else x[block] for x in sources))
        swept = sweep_block(config, times[block], y[block], ops, swept, part)
    return swept


def _sweep_stages(
    config: Config,
    ends: tuple[int, ...],
    times: torch.Tensor,
    y: torch.Tensor,
    ops: Operands,
    swept: Swept,
    sources: Sources,
) -> Swept:
    """Explicit steps stage by stage, segment by segment, which end at some of the rows."""
    for first, last in reversed(list(pairwise((0, *ends, len(times))))):
        own = Sources(*(None if x is None else x[first:last] for x in sources))
        swept = sweep_explicit(config, times[first:last], y[first:last], ops, swept, own)
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
