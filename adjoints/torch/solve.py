"""``solve``: the open PyTorch solver, differentiable by the adjoint of your choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from ..methods import check_name
from ..result import STATUSES
from ..stops import stops_between
from ..tableaus import tableau
from . import continuous, discrete
from .course import Course
from .differentiable import Call, Outputs, solve_outputs, tape_outputs
from .fields import Field, Jump, ModuleField, named_tensors, split_params
from .state import Config, Tensors
from .transforms import is_wrapped, unwrapped

Tree = Any

#: The reverse passes by their names; the other adjoints leave it to autograd.
PULL_BACKS = {
    "discrete": discrete.pull_back,
    **{kind: partial(continuous.pull_back, kind) for kind in continuous.CONTINUOUS},
}
BY_AUTOGRAD = ("tape", "forward")
ADJOINTS = (*PULL_BACKS, *BY_AUTOGRAD)
SOLVERS = ("tsit5", "dopri5", "dop853", "rk4", "euler", "rodas5p", "rodas4p")


@dataclass(frozen=True)
class Solution:
    """A solve, with the inside of the solver as differentiable outputs.

    Attributes
    ----------
    ys : tensor, shape ``(len(save_at), *y0.shape)``
        The solution at the save times; NaN where the solver broke down.
    error_estimate : tensor or None
        R_E: the norm of the embedded error of each accepted step times its size, reduced.
        ``None`` for a method without an embedded error.
    error_squared : tensor or None
        R_E2: the squared norm of the embedded error of each accepted step, reduced.
    stiffness_estimate : tensor or None
        R_S: Shampine's stiffness estimate of each accepted step times its size, reduced.
        ``None`` for a method without two stages at the same time.
    stats : dict of str to tensor
        ``steps``, ``rejected``, ``rhs_evals``, ``jacobian_evals`` and ``linear_solves``.
    status_code : tensor
        Index into :data:`~adjointbench.adjoints.result.STATUSES`.
    steps : tuple of tensor
        ``(t, h)`` of the accepted steps; ``solve(..., steps=these)`` takes them again. Under
        ``vmap`` filled up with steps of size zero at the end time.
    compiled : str or None
        Where ``compile=True`` asked for it: ``"yes"``, or why the loop ran eagerly.
    transfers : int or None
        How often the host waited for numbers from the device; ``None`` under ``vmap``.
    """

    ys: torch.Tensor
    error_estimate: torch.Tensor | None
    error_squared: torch.Tensor | None
    stiffness_estimate: torch.Tensor | None
    stats: dict[str, torch.Tensor]
    status_code: torch.Tensor
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


def solve(
    rhs: Callable[..., Any] | torch.nn.Module,
    y0: Any,
    save_at: Any,
    params: Tree = None,
    *,
    t0: float = 0.0,
    solver: str = "tsit5",
    adjoint: str = "discrete",
    rtol: Any = 1e-6,
    atol: Any = 1e-9,
    max_steps: int = 4096,
    steps: tuple[Any, Any] | None = None,
    error_norm: str = "scaled",
    reduction: str = "sum",
    first_step: float | None = None,
    differentiate_step_size: bool = False,
    discontinuities: Iterable[float] = (),
    jump_times: Iterable[float] = (),
    jump: Callable[..., Any] | None = None,
    adjoint_solver: str | None = None,
    adjoint_rtol: Any = None,
    adjoint_atol: Any = None,
    jacobian: Callable[..., Any] | None = None,
    compile: bool = False,
    look_every: int = 1,
) -> Solution:
    """Solve ``y' = rhs(t, y, params)`` from `t0`, and be differentiable.

    Works with ``backward()``, ``torch.autograd.grad``, ``torch.func.grad``, ``vjp``, ``jacrev``
    and ``vmap`` (lane after lane). Gradients flow to `y0` and `params`, and to nothing else:
    `rhs` must not close over values to be differentiated.

    Parameters
    ----------
    rhs : callable or torch.nn.Module
        ``rhs(t, y, params)``, a tensor of the shape and dtype of `y0`; or a module
        ``module(t, y)``, whose own parameters are then `params`.
    y0 : tensor
        The start value, any shape; its dtype and device are the solve's.
    save_at : array_like, shape (m,)
        Increasing times not before `t0`; the solve ends with the last. Not differentiated.
    params : pytree of tensors
    t0 : float
        The start time.
    solver : str
        Explicit: ``"tsit5"``, ``"dopri5"``, ``"dop853"``, ``"rk4"``, ``"euler"``. Rosenbrock, for
        stiff equations: ``"rodas5p"``, ``"rodas4p"``.
    adjoint : str
        ``"discrete"``: the exact derivative of the accepted steps, in reverse; ``"tape"``: the
        same by autograd's tape of every operation, for second derivatives too; ``"forward"``:
        the same in forward mode (``torch.func.jvp``, ``jacfwd``). Continuous adjoints, whose
        error follows ``adjoint_rtol`` and ``adjoint_atol``: ``"interpolating"`` and
        ``"quadrature"``, for stiff equations too with a Rosenbrock solver; ``"backsolve"`` and
        ``"backsolve-seminorm"``, which keep nothing but the saves, and are wrong where the
        equation is unstable backwards.
    rtol, atol : float or tensor
        Tolerances; tensors of the shape of `y0` set them per component.
    max_steps : int
        Attempts allowed.
    steps : tuple of tensor, optional
        ``(t, h)`` to take with no control, as ``solution.steps`` gives them. They must begin
        at `t0` and end at ``save_at[-1]``.
    error_norm : {"scaled", "absolute"}
        Whether the estimates divide the embedded error by the tolerances (root mean square)
        or take its Euclidean norm.
    reduction : {"sum", "mean", "max"}
        Over the accepted steps.
    first_step : float, optional
        The first step size; the size of all steps of a fixed-step method.
    differentiate_step_size : bool
        Differentiate through the step-size control as well, with ``adjoint="tape"`` or
        ``"forward"``.
    discontinuities : iterable of float
        Times to step onto because `rhs` is not smooth there.
    jump_times, jump : iterable of float, callable
        ``jump(i, t, y, params)`` is the state just after ``jump_times[i]``; a save at a jump
        time is the value after it.
    adjoint_solver, adjoint_rtol, adjoint_atol : optional
        For the reverse solve of a continuous adjoint; the forward ones by default.
    jacobian : callable, optional
        ``jacobian(t, y, params)``, shape ``(n, n)``, for implicit solvers; by default it is
        formed by forward mode.
    compile : bool
        Compile the loops of both passes: some ten seconds once for each `rhs` and shape, then an
        order of magnitude faster. Pass the same `rhs` object again to use what was compiled for
        it.
    look_every : int
        Attempts between two looks of the host at the status. On a GPU each look waits for the
        device; in between, attempts past the end are made in vain and change nothing. Compiled
        loops look once in a run of up to 64 steps.

    Returns
    -------
    Solution
        Breakdown is told by its ``status``; the values are NaN then, and so are gradients.

    Raises
    ------
    ValueError
        For arguments that make no sense.
    """
    start = _as_state(y0)
    if isinstance(rhs, torch.nn.Module):
        if params is not None:
            raise ValueError("params: a module brings its own parameters; leave params out")
        rhs, params = ModuleField(rhs), named_tensors(rhs)
    smooth, constants, split = split_params(params, start)
    times = _times(save_at, float(t0), start)
    stops = stops_between(discontinuities, jump_times, float(t0), float(times[-1]))
    config = Config(
        rhs=Field(rhs, split),
        solver=solver,
        max_steps=_max_steps(max_steps if steps is None else len(steps[0])),
        breaks=bool(stops.times),
        given_steps=steps is not None,
        dense=len(times) > 1,
        terms=True,
        error_norm=error_norm,
        reduction=reduction,
        through_step_size=differentiate_step_size,
        jacobian=None if jacobian is None else Field(jacobian, split),
        compile=compile,
        look_every=_look_every(look_every, adjoint),
    )
    _check(config, adjoint, start, smooth, constants)

    def tensor(value: Any) -> torch.Tensor:
        # A transform wraps even what is made inside it; none of this is transformed.
        return unwrapped(torch.as_tensor(value, dtype=start.dtype, device=start.device))

    course = Course(
        t0=tensor(t0),
        stops=stops,
        save_at=tensor(times),
        rtol=tensor(rtol),
        atol=tensor(atol),
        first_step=None if first_step is None else tensor(first_step),
        steps=None if steps is None else (tensor(steps[0]), tensor(steps[1])),
        jump=None if jump is None else Jump(jump, split),
    )
    reverse = Reverse(
        adjoint,
        adjoint_solver or solver,
        tensor(rtol if adjoint_rtol is None else adjoint_rtol),
        tensor(atol if adjoint_atol is None else adjoint_atol),
    )
    call = new_call(config, course, len(smooth), reverse)
    return _solution(call, outputs(call, start, (*smooth, *constants)))


class Reverse(NamedTuple):
    """Which adjoint, and how a continuous one integrates backwards."""

    adjoint: str
    solver: str
    rtol: torch.Tensor
    atol: torch.Tensor


def new_call(config: Config, course: Course, smooth: int, reverse: Reverse) -> Call:
    """A call of a solve by the adjoint named in `reverse`."""
    pull_back = PULL_BACKS.get(reverse.adjoint, discrete.pull_back)
    along_dense = reverse.adjoint in ("interpolating", "quadrature")
    return Call(config, course, smooth, pull_back, reverse, along_dense)


def outputs(call: Call, y0: torch.Tensor, leaves: Tensors) -> Outputs:
    """Solve, by the framework's own graph or with a reverse pass of our own."""
    run = tape_outputs if call.reverse.adjoint in BY_AUTOGRAD else solve_outputs
    return run(call, y0, *leaves)


def _as_state(y0: Any) -> torch.Tensor:
    state = torch.as_tensor(y0)
    return state if state.is_floating_point() else state.to(torch.get_default_dtype())


def _times(save_at: Any, t0: float, like: torch.Tensor) -> np.ndarray:
    """The save times in the solve's dtype; refused where they do not increase from `t0`."""
    values = save_at.detach().cpu() if isinstance(save_at, torch.Tensor) else save_at
    dtype = np.float32 if like.dtype == torch.float32 else np.float64
    times = np.asarray(values, dtype)
    if times.ndim != 1 or len(times) == 0:
        raise ValueError(f"save_at has shape {times.shape}; pass one increasing list of times")
    if not (np.diff(times) > 0).all() or times[0] < t0 or times[-1] == t0:
        raise ValueError(
            f"save_at={save_at!r} must increase strictly, from t0={t0!r} on, and end after it"
        )
    return times


def _max_steps(max_steps: Any) -> int:
    if int(max_steps) < 1:
        raise ValueError(f"max_steps={max_steps!r} must be at least 1")
    return int(max_steps)


def _look_every(look_every: Any, adjoint: str) -> int:
    if int(look_every) < 1:
        raise ValueError(f"look_every={look_every!r} must be at least 1")
    if int(look_every) > 1 and adjoint in BY_AUTOGRAD:
        raise ValueError(
            f"look_every={look_every!r}: adjoint={adjoint!r} would record attempts made in vain; "
            "use adjoint='discrete', or leave it at 1"
        )
    return int(look_every)


def _check(
    config: Config, adjoint: str, y0: torch.Tensor, smooth: Tensors, constants: Tensors
) -> None:
    """Refuse names that are not known, what does not combine, and a misshapen right-hand side."""
    check_name("solver", config.solver, SOLVERS)
    check_name("adjoint", adjoint, ADJOINTS)
    check_name("error_norm", config.error_norm, ("scaled", "absolute"))
    check_name("reduction", config.reduction, ("sum", "mean", "max"))
    tableau(config.solver)
    if config.through_step_size and adjoint not in BY_AUTOGRAD:
        raise ValueError(
            f"differentiate_step_size=True: adjoint={adjoint!r} holds the steps fixed; use "
            "adjoint='tape' or 'forward'"
        )
    with torch.no_grad():
        t = torch.zeros((), dtype=y0.dtype, device=y0.device)
        slope = config.rhs(t, y0, (smooth, constants))
    if slope.shape != y0.shape or slope.dtype != y0.dtype:
        raise ValueError(
            f"rhs returned shape {tuple(slope.shape)} and dtype {slope.dtype}; y0 has shape "
            f"{tuple(y0.shape)} and dtype {y0.dtype}, and rhs must return the same"
        )


def _solution(call: Call, out: Outputs) -> Solution:
    tab = call.config.tableau
    status, accepted, attempts = out.numbers.unbind(-1)
    begin = 2 if call.config.tableau.adaptive else 1
    implicit = int(tab.implicit)
    error, squared, stiff = out.totals.unbind(-1)
    work = None if call.lanes or call.solved is None else call.solved.work
    return Solution(
        ys=out.ys,
        error_estimate=error if tab.adaptive else None,
        error_squared=squared if tab.adaptive else None,
        stiffness_estimate=None if tab.stiffness_stages is None else stiff,
        stats={
            "steps": accepted,
            "rejected": attempts - accepted,
            "rhs_evals": begin + attempts * tab.steps,
            "jacobian_evals": attempts * implicit,
            "linear_solves": attempts * tab.steps * implicit,
        },
        status_code=status,
        steps=(out.steps[..., 0], out.steps[..., 1]),
        compiled=(work.compiled or None) if work is not None else None,
        transfers=None if work is None else work.transfers,
    )
