"""``solve``: the open PyTorch solver, differentiable by the adjoint of your choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch

from ...problems.event import DEFAULT_MAX_EVENTS, Event, check_max_events, listed_events
from ..arguments import check_choices, check_name, positive, positive_int
from ..events.when_event import WhenEvent
from ..steps.stops import Stops
from ..steps.tableaus import tableau
from . import continuous, discrete
from .call import Call
from .constant_steps import constant_steps
from .dense_output import DenseOutput, check_dense_output, split_dense_output
from .differentiable import solve_outputs, tape_outputs
from .engines import engine_of
from .events.declared import check_stop_map
from .events.of_solve import stops_of_solve
from .function_checks import check_functions
from .inputs import (
    Times,
    check_params,
    checked_steps,
    checked_times,
    checked_tolerance,
    held,
)
from .mass import checked_mass_of, with_consistent_values
from .outputs import Outputs, before_terminal
from .recorded_function import recorded_function
from .schedule import Schedule
from .slopes_by_times import moved_by_times
from .solution import Solution, solution_of
from .state import Config, Tensors
from .state_layout import flat_state
from .systems.found import with_system
from .user_functions import TorchView, UserFunctions, user_functions
from .windows import window_size

Tree = Any

#: The reverse passes by their names; the other adjoints leave it to autograd.
PULL_BACKS = {
    "discrete": discrete.pull_back,
    **{kind: partial(continuous.pull_back, kind) for kind in continuous.CONTINUOUS},
}
BY_AUTOGRAD = ("tape", "forward")
ADJOINTS = (*PULL_BACKS, *BY_AUTOGRAD)
IMPLICIT = ("rodas5p", "rodas4p", "kvaerno5", "implicit_midpoint")
SOLVERS = ("tsit5", "dopri5", "dop853", "rk4", "euler", *IMPLICIT)


def solve(
    rhs: Callable[..., Any] | torch.nn.Module,
    y0: Any,
    save_at: Any,
    params: Tree = None,
    *,
    args: tuple[Any, ...] | None = None,
    t0: Any = 0.0,
    solver: str = "tsit5",
    adjoint: str = "discrete",
    rtol: Any = 1e-6,
    atol: Any = 1e-9,
    max_steps: int = 4096,
    steps: tuple[Any, Any] | None = None,
    step_size: float | None = None,
    number_of_steps: int | None = None,
    max_step: float | None = None,
    error_norm: str = "scaled",
    reduction: str = "sum",
    first_step: float | None = None,
    checkpoints: int | None = None,
    dense_output: bool = False,
    differentiate_step_size: bool = False,
    discontinuities: Iterable[Any] = (),
    jump_times: Iterable[Any] = (),
    jump: Callable[..., Any] | None = None,
    events: Event | Sequence[Event] = (),
    max_events: int = DEFAULT_MAX_EVENTS,
    adjoint_solver: str | None = None,
    adjoint_rtol: Any = None,
    adjoint_atol: Any = None,
    jacobian: Callable[..., Any] | None = None,
    linear_solver: str = "auto",
    jacobian_sparsity: Any = None,
    mass: Any = None,
    compile: bool = False,
    look_every: int = 1,
    engine: str = "auto",
) -> Solution:
    """Solve ``y' = rhs(t, y, params)`` from `t0`, and be differentiable.

    Works with ``backward()``, ``torch.autograd.grad``, ``torch.func.grad``, ``vjp``, ``jacrev``
    and ``vmap``: all lanes in one loop, each with its own steps, status and, where `t0` or
    `save_at` is mapped over, times; lane after lane for a continuous adjoint, ``steps``,
    ``compile=True``, events, times that move and an `rhs` that ``vmap`` cannot map. Gradients flow
    to `y0`, `params`, `t0`, `save_at`, `discontinuities` and `jump_times`, and to nothing else:
    `rhs` must not close over values to be differentiated, and is refused if it does. At a stop,
    derivatives by `t0` and `save_at` are those of the equations after it; the estimates' are those
    at the steps that were taken.

    Parameters
    ----------
    rhs : callable or torch.nn.Module
        ``rhs(t, y, params)``, a tensor of the shape and dtype of `y0`, or a list or tuple of its
        components; or a module ``module(t, y)``, whose own parameters are then `params`.
        Without `params` it may take ``(t, y)`` alone.
    y0 : tensor, or tuple, list or dict of tensors
        The start value, any shape; its dtype and device are the solve's. Of a structure, which
        may be nested, `rhs` and `jump` get and return the same structure.
    save_at : array_like, shape (m,)
        Times in order, and not before `t0`; the solve ends with the last. It goes backwards where
        that is less than `t0`: then none lies after it.
    params : pytree of tensors and numbers
        Whole numbers, names, functions and the like in it reach `rhs` as they are.
    args : tuple, optional
        The same as several arguments, in place of `params`: every function is called with
        ``*args`` at the end, a module as ``module(t, y, *args)``.
    t0 : float or tensor
        The start time.
    solver : str
        Explicit: ``"tsit5"``, ``"dopri5"``, ``"dop853"``, ``"rk4"``, ``"euler"``. Rosenbrock, for
        stiff equations: ``"rodas5p"``, ``"rodas4p"``. Diagonally implicit, which solve their
        stages by Newton's method, and not with `compile`: ``"kvaerno5"``, ``"implicit_midpoint"``
        (of fixed steps, symplectic).
    adjoint : str
        ``"discrete"``: the exact derivative of the accepted steps, in reverse; ``"tape"``: the
        same by autograd's tape of every operation, for second derivatives too (and, with an
        explicit solver, third ones); ``"forward"``:
        the same in forward mode (``torch.func.jvp``, ``jacfwd``). Continuous adjoints, whose
        error follows ``adjoint_rtol`` and ``adjoint_atol``: ``"interpolating"`` and
        ``"quadrature"``, for stiff equations too with a Rosenbrock solver; ``"backsolve"`` and
        ``"backsolve-seminorm"``, which keep nothing but the saves, and are wrong where the
        equation is unstable backwards.
    rtol, atol : float or tensor, or structure of them
        Tolerances; tensors of the shape of `y0` set them per component, a structure like `y0` of
        numbers and tensors for each of its tensors.
    max_steps : int
        Attempts allowed. :func:`~adjointbench.prepare` allows 16384 by default.
    steps : tuple of tensor, optional
        ``(t, h)`` to take with no control, as ``solution.steps`` gives them. They must begin
        at `t0` and end at ``save_at[-1]``.
    step_size, number_of_steps : float, int, optional
        Steps of one size with no control, by any solver: the size, or how many there are from
        start to end. Every stop is stepped on, and the last step before one shortened. They are
        taken eagerly, and a continuous adjoint controls its own steps.
    max_step : float, optional
        No step is longer.
    error_norm : {"scaled", "absolute"}
        Whether the estimates divide the embedded error by the tolerances (root mean square)
        or take its Euclidean norm.
    reduction : {"sum", "mean", "max"}
        Over the accepted steps.
    first_step : float, optional
        The first step size; the size of all steps of a fixed-step method.
    checkpoints : int, optional
        How many states the discrete adjoint keeps, of `max_steps`, and as many steps behind each
        it takes again, on the way back. By default every state is kept.
    dense_output : bool
        Keep the states between the steps, so that ``solution(t)`` is the solution at any time of
        the span, by the interpolation that gives the saves, differentiable by the same adjoint;
        ``solution(t, side="before")`` and ``solution.before_jumps`` are the states before jumps.
        Not under ``vmap``.
    differentiate_step_size : bool
        Differentiate through the step-size control as well, with ``adjoint="tape"`` or
        ``"forward"``.
    discontinuities : iterable of float or tensor
        Times to step onto because `rhs` is not smooth there. Tensors that require a gradient get
        it: how `rhs` differs on their two sides.
    jump_times, jump : iterable of float or tensor, callable
        ``jump(i, t, y, params)`` is the state just after ``jump_times[i]``, in the direction of
        the solve; a save at a jump time is the value after it. A derivative by a time at the start
        or at a save is not defined: status ``"event"``.
    events : Event or sequence of Event
        Where the state crosses a threshold, and what happens to it there; rising and falling are
        meant in the direction of the solve. ``solution.event_times``, ``event_index`` and
        ``event_states`` tell which happened, and are differentiable, by the derivative of the
        solve with the saltation matrix of every event. Not with ``steps``, ``step_size``,
        ``number_of_steps``, ``dense_output`` and ``compile``.
    max_events : int
        More are the status ``"max_events"``.
    adjoint_solver, adjoint_rtol, adjoint_atol : optional
        For the reverse solve of a continuous adjoint; the forward ones by default.
    jacobian : callable, optional
        ``jacobian(t, y, params)``, shape ``(n, n)``, for implicit solvers; by default it is
        formed by forward mode. Of a structure, by all components in the order of its tensors.
    linear_solver : {"auto", "dense", "banded", "sparse", "gmres"}
        How implicit solvers solve their linear systems. ``"auto"``: from 32 unknowns on, where
        `jacobian_sparsity` tells that entries of the Jacobian are few, it is formed by as many
        products as they need, and factorised as a band (LAPACK) or as a sparse matrix (SuperLU);
        where factors would fill up, as in three dimensions, incomplete ones precondition GMRES.
        ``solution.linear_solver`` tells which, and why not. Eagerly and on the CPU; a continuous
        adjoint's own systems are dense.
    jacobian_sparsity : optional
        Where the Jacobian may have entries, which PyTorch does not tell: a matrix of SciPy, a
        boolean array of shape ``(n, n)``, or their rows and columns, in the order of the flat
        state. A step that meets another entry ends the solve with status ``"linear_solve"``.
    mass : array_like, shape (n, n), optional
        ``M`` of ``M y' = rhs(t, y, params)``, for all components in the order of the tensors of
        `y0`; not differentiated. It may be singular, with algebraic equations of index 1: the
        solve begins with the consistent values whose ``M y`` is that of `y0`, and goes on with such
        after jumps and discontinuities. For ``"rodas5p"`` and ``"rodas4p"``, with
        ``adjoint="discrete"``, ``"tape"`` or ``"forward"``, eagerly; there is no
        ``stiffness_estimate`` then.
    compile : bool
        Compile both passes: some ten seconds once, then several times faster. What was compiled
        serves every `rhs` of the same operations, as modules with other weights, and of a state
        of two axes or more every length of the first; what has no loop, as for states of more
        than 64 numbers, is kept on disk for other processes. Where it cannot be, a warning and
        ``solution.compiled`` tell why.
    look_every : int
        Attempts between two looks of the host at the status. On a GPU each look waits for the
        device; in between, attempts past the end are made in vain and change nothing. Compiled
        loops look once in a run of up to 64 steps, compiled steps at each.
    engine : {"auto", "native", "torch"}
        What runs: ``"native"`` a program in C that the equations are translated to, orders of
        magnitude faster for small systems on a CPU, with explicit and Rosenbrock solvers and
        ``adjoint="discrete"``; ``"torch"`` PyTorch's own operations, which take the same steps.
        ``"auto"``: native where it can be; ``solution.engine`` tells, and why not. `rhs` runs once
        a call, to see whether it is still the function that was translated.

    Returns
    -------
    Solution
        Breakdown is told by its ``status``; the values are NaN then, and so are gradients.

    Raises
    ------
    ValueError
        For arguments that make no sense.
    """
    start, layout = flat_state(y0)
    times = checked_times(t0, save_at, start)
    view = TorchView(layout, times.backwards)
    user = user_functions(
        (rhs, jump, jacobian),
        params,
        args,
        view,
        start,
        compile=compile,
        events=listed_events(events),
    )
    check_params(user.constants)
    user, stops, stop_map, jump_times = stops_of_solve(
        times, discontinuities, jump_times, jump, user, start
    )
    given = _steps(steps, step_size, number_of_steps, times, stops, start)
    stop_map = replace(stop_map, max_events=check_max_events(max_events))
    check_stop_map(stop_map, given=given, dense_output=dense_output, compile=compile, mass=mass)
    config = Config(
        rhs=user.rhs,
        solver=solver,
        # Those that are given are counted by their own number, at most.
        max_steps=positive_int("max_steps", max_steps) if given is None else len(given[0]) + 1,
        breaks=stops.breaks or bool(user.events),
        given_steps=given is not None,
        max_step=_max_step(max_step, given),
        dense=times.inner > 0 or dense_output or bool(user.events),
        dense_output=dense_output,
        terms=True,
        error_norm=error_norm,
        reduction=reduction,
        through_step_size=differentiate_step_size,
        jacobian=user.jacobian,
        compile=compile,
        look_every=_look_every(look_every, adjoint, user.events),
    )
    config = replace(config, window=window_size(config, adjoint, checkpoints))
    _check(config, adjoint)
    config = replace(config, mass=checked_mass_of(mass, start, config, adjoint))
    config = with_system(linear_solver, config, start, jacobian_sparsity)
    check_dense_output(config, (start, times.t0, times.save_at, *user.smooth, *user.constants))
    tolerance = partial(_tolerance, view, start)
    schedule = Schedule(
        t0=held("t0", times.start, start),
        stops=stops,
        save_at=held("save_at", times.saves, start),
        inner=times.inner,
        rtol=tolerance("rtol", rtol),
        atol=tolerance("atol", atol),
        first_step=_first_step(first_step, start),
        steps=given,
        jump=user.jump,
        stop_map=stop_map if stop_map.events or stop_map.moving else None,
    )
    if adjoint_solver is not None:
        check_name("adjoint_solver", adjoint_solver, SOLVERS)
    reverse = Reverse(adjoint, adjoint_solver or solver, schedule.rtol, schedule.atol)
    if adjoint_rtol is not None:
        reverse = reverse._replace(rtol=tolerance("adjoint_rtol", adjoint_rtol))
    if adjoint_atol is not None:
        reverse = reverse._replace(atol=tolerance("adjoint_atol", adjoint_atol))
    if compile:
        inputs = (schedule.t0, start.detach(), (user.smooth, user.constants))
        config = replace(config, rhs=recorded_function(config.rhs, *inputs))
    hidden = adjoint not in BY_AUTOGRAD
    check_functions(config, schedule, start, user.smooth, user.constants, hidden=hidden)
    schedule = with_consistent_values(config, schedule)
    call = new_call(config, schedule, len(user.smooth), reverse)
    call.engine = engine_of(engine, adjoint, linear_solver)
    if times.own:
        if adjoint in BY_AUTOGRAD or given is not None:
            raise ValueError(
                "t0 or save_at differs from lane to lane under vmap; with given steps, steps of "
                "one size, adjoint='tape' or 'forward', call solve once for each instead"
            )
        call.own_times = (times.t0.detach(), times.save_at.detach())
    return solution_of(call, *_solved(call, start, user, times, jump_times), view)


def _steps(
    steps: Any, step_size: Any, number_of_steps: Any, times: Times, stops: Stops, like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The steps to take without control: those that were given, or of one size."""
    constant = constant_steps(step_size, number_of_steps, times, stops, like)
    if steps is not None and constant is not None:
        raise ValueError("steps are given; leave step_size and number_of_steps out")
    return constant or checked_steps(steps, like, backwards=times.backwards)


def _max_step(max_step: Any, given: Any) -> float | None:
    if max_step is not None and given is not None:
        raise ValueError("max_step limits the step-size control, and here the steps are given")
    return None if max_step is None else positive("max_step", max_step)


def _tolerance(view: TorchView, start: torch.Tensor, argument: str, value: Any) -> torch.Tensor:
    """A tolerance for the flat state."""
    return checked_tolerance(argument, view.tolerance(argument, value, start), start)


def _solved(
    call: Call,
    start: torch.Tensor,
    user: UserFunctions,
    times: Times,
    jump_times: tuple[float, ...],
) -> tuple[Outputs, DenseOutput | None]:
    """Jump where it begins, solve, and let derivatives flow to the times that ask for them."""
    schedule, leaves, given = call.schedule, (*user.smooth, *user.constants), start
    for i in schedule.stops.at_start:
        start = schedule.jumped(i, schedule.t0, start, (user.smooth, user.constants))
    if times.wanted[0]:
        if schedule.consistent is not None:
            start = schedule.consistent(times.t0, start, (user.smooth, user.constants))[0]
        start = moved_by_times(call, -1, times.t0[None], start[None], leaves)[0]
    out, dense = outputs(call, start, leaves), None
    if call.config.dense_output:
        out, dense = split_dense_output(call, out, given, leaves, jump_times, user.rhs.view)
    if times.wanted[1]:
        save_at = before_terminal(call.schedule, out, times.save_at)
        out = out._replace(ys=moved_by_times(call, 1, save_at, out.ys, leaves))
    return out, dense


class Reverse(NamedTuple):
    """Which adjoint, and how a continuous one integrates backwards."""

    adjoint: str
    solver: str
    rtol: torch.Tensor
    atol: torch.Tensor


def new_call(config: Config, schedule: Schedule, smooth: int, reverse: Reverse) -> Call:
    """A call of a solve by the adjoint named in `reverse`."""
    pull_back = PULL_BACKS.get(reverse.adjoint, discrete.pull_back)
    along_dense = reverse.adjoint in ("interpolating", "quadrature")
    return Call(config, schedule, smooth, pull_back, reverse, along_dense)


def outputs(call: Call, y0: torch.Tensor, leaves: Tensors) -> Outputs:
    """Solve, by the framework's own graph or with a reverse pass of our own."""
    run = tape_outputs if call.reverse.adjoint in BY_AUTOGRAD else solve_outputs
    return run(call, y0, *leaves)


def _first_step(value: Any, like: torch.Tensor) -> torch.Tensor | None:
    return None if value is None else held("first_step", positive("first_step", value), like)


def _look_every(look_every: Any, adjoint: str, events: tuple[WhenEvent, ...]) -> int:
    if positive_int("look_every", look_every) > 1 and adjoint in BY_AUTOGRAD:
        raise ValueError(
            f"look_every={look_every!r}: adjoint={adjoint!r} would record attempts made in vain; "
            "use adjoint='discrete', or leave it at 1"
        )
    # Every accepted step is looked at for events.
    return 1 if events else int(look_every)


def _check(config: Config, adjoint: str) -> None:
    """Refuse names that are not known, and what does not combine."""
    check_name("solver", config.solver, SOLVERS)
    check_choices(adjoint, ADJOINTS, config.error_norm, config.reduction)
    tableau(config.solver)
    if config.compile:
        try:
            hash(config)
        except TypeError as error:
            raise ValueError(
                f"compile=True: {error}; what is compiled is kept by all in params that is no "
                "tensor, so it must be hashable"
            ) from None
    if config.through_step_size and adjoint not in BY_AUTOGRAD:
        raise ValueError(
            f"differentiate_step_size=True: adjoint={adjoint!r} holds the steps fixed; use "
            "adjoint='tape' or 'forward'"
        )
