"""``solve``: the open JAX solver, differentiable by the adjoint of your choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from ..arguments import check_user_functions, listed, positive_int
from ..steps.runge_kutta import Rhs
from ..steps.stops import Stops, check_jumps
from .config import WINDOW, Config
from .dense_output import check_dense_output, dense_output_of
from .differentiable import solve_outputs
from .inputs import (
    check_config,
    checked_array,
    checked_first_step,
    checked_newton_tolerance,
    checked_state,
    checked_steps,
    checked_tolerance,
)
from .solution import Solution, solution_of
from .solvers import find_solver
from .state import Operands, StepArrays
from .times import check_known_times, find_stops, jumps_at, may_repeat, soundness, stop_arrays
from .user_functions import Field, Jump, split_params

Tree = Any


def solve(
    rhs: Rhs,
    y0: Any,
    save_at: Any,
    params: Tree = None,
    *,
    t0: Any = 0.0,
    solver: str = "tsit5",
    adjoint: str = "discrete",
    rtol: Any = 1e-6,
    atol: Any = 1e-9,
    max_steps: int = 4096,
    steps: tuple[Any, Any] | None = None,
    error_norm: str = "scaled",
    reduction: str = "sum",
    first_step: Any = None,
    checkpoints: int | None = None,
    dense_output: bool = False,
    differentiate_step_size: bool = False,
    discontinuities: Iterable[float] = (),
    jump_times: Iterable[float] = (),
    jump: Callable[..., Any] | None = None,
    adjoint_solver: str | None = None,
    adjoint_rtol: Any = None,
    adjoint_atol: Any = None,
    jacobian: Callable[..., Any] | None = None,
    newton_tolerance: float = 1e-2,
) -> Solution:
    """Solve ``y' = rhs(t, y, params)`` from `t0`, and be differentiable.

    Composes with ``jit``, ``vmap``, ``grad`` and ``jacrev``. Gradients flow to `y0`, `params`,
    `t0` and `save_at`, and to nothing else: `rhs` must not close over values to be differentiated.

    Parameters
    ----------
    rhs : callable
        ``rhs(t, y, params)``, an array of the shape and dtype of `y0`, or a list of its
        components. Pass the same function object again to use what was compiled for it.
    y0 : array
        The start value, any shape; its dtype is the solve's dtype.
    save_at : array, shape (m,)
        Times from `t0` on, none before the one before it; the solve ends with the last. They may
        be repeated, as where series of different lengths are padded with their last time.
    params : pytree of arrays
    t0 : float
        The start time.
    solver : str
        Explicit: ``"tsit5"``, ``"dopri5"``, ``"dop853"``, ``"rk4"``, ``"euler"``. Implicit, for
        stiff equations: ``"rodas5p"``, ``"rodas4p"`` (Rosenbrock), ``"kvaerno5"`` (ESDIRK),
        ``"implicit_midpoint"``. ``"auto"`` begins with ``"tsit5"``, goes on with ``"rodas5p"``
        where the equations turn stiff, and back.
    adjoint : str
        ``"discrete"``: the exact derivative of the accepted steps, in reverse;
        ``"forward"``: the same in forward mode (``jax.jvp``, ``jax.jacfwd``);
        ``"backsolve"``, ``"backsolve-seminorm"``, ``"interpolating"``, ``"quadrature"``,
        ``"gauss"``: continuous adjoints.
    rtol, atol : float or array
        Tolerances; arrays of the shape of `y0` set them per component.
    max_steps : int
        Attempts allowed. :func:`~adjointbench.prepare` allows 16384 by default.
    steps : tuple of array, optional
        ``(t, h)`` to take with no control, as ``solution.steps`` gives them. They must begin
        at `t0`, go on from each other, end on every stop and at ``save_at[-1]``, or the status
        is ``"failed"``. Steps of size zero at the end do nothing.
    error_norm : {"scaled", "absolute"}
        Whether the estimates divide the embedded error by the tolerances (root mean square)
        or take its Euclidean norm.
    reduction : {"sum", "mean", "max"}
        Over the accepted steps.
    first_step : float, optional
        The first step size; the size of all steps of a fixed-step method.
    checkpoints : int, optional
        How many states to keep for the reverse pass, which recomputes between them. By
        default the last 256 accepted steps and the first step of each 256 before.
    dense_output : bool
        Keep the accepted steps, so that ``solution(t)`` is the solution at any time of the span,
        by the interpolation that gives the saves, differentiable by the same adjoint;
        ``solution(t, side="before")`` and ``solution.before_jumps`` are the states before jumps.
        Takes room for ``max_steps`` states; the stages are computed again when they are read.
    differentiate_step_size : bool
        Differentiate through the step-size control as well.
    discontinuities : iterable of float
        Times to step onto because `rhs` is not smooth there. Each step sees `rhs` from its own
        side. Those outside the span have no effect.
    jump_times, jump : iterable of float, callable
        ``jump(i, t, y, params)`` is the state just after ``jump_times[i]``; a save at a jump
        time is the value after it. Of several jumps at one time the first acts first; those
        outside the span do not act. Where ``i`` may be an array, as in ``params["dose"][i]``, it
        is one, and compiling takes no longer for many jumps.
    adjoint_solver, adjoint_rtol, adjoint_atol : optional
        For the reverse solve of a continuous adjoint; the forward ones by default. The absolute
        one is in the units of the state: see :mod:`~adjointbench.adjoints.adjoint_units`.
    jacobian : callable, optional
        ``jacobian(t, y, params)``, shape ``(n, n)`` for a state of ``n`` components: the exact
        Jacobian of `rhs`, for implicit solvers. By default it is formed by forward mode.
    newton_tolerance : float
        Share of the tolerance to which the stages of ``"kvaerno5"`` and
        ``"implicit_midpoint"`` converge. Against stages that converge to rounding, the default
        changed the gradients of Robertson, Van der Pol (mu = 1000) and HIRES with ``"kvaerno5"``
        by 1e-10 … 3e-8, less at smaller `rtol` (1e-4 … 1e-8), and mostly less than the error of
        the steps themselves.

    Returns
    -------
    Solution
        Breakdown is told by its ``status``; the values are NaN then, and so are gradients. Where
        the reverse solve of a continuous adjoint breaks down, gradients are NaN and a
        ``RuntimeWarning`` says why.

    Raises
    ------
    ValueError
        For arguments that make no sense.
    """
    start = checked_state(y0)
    times = checked_array("save_at", save_at, start.dtype)
    t0 = checked_array("t0", t0, start.dtype)
    check_known_times(times, t0)
    jump_times = listed("jump_times", jump_times)
    check_jumps(jump_times, jump)
    check_user_functions(rhs, jump, jacobian)
    steps = checked_steps(steps, start.dtype)
    smooth, constants, split = split_params(params)
    discontinuities = listed("discontinuities", discontinuities)
    stops = find_stops(discontinuities, jump_times, t0, times[-1], start.dtype)
    config = Config(
        rhs=Field(rhs, split),
        solver=find_solver(solver, checked_newton_tolerance(newton_tolerance)),
        on_stop=None if jump is None else Jump(jump, len(jump_times), split),
        adjoint=adjoint,
        adjoint_solver=find_solver(adjoint_solver or solver, argument="adjoint_solver"),
        breaks=stops.breaks,
        repeats=may_repeat(times),
        max_steps=positive_int("max_steps", max_steps) if steps is None else len(steps[0]),
        window=window_size(max_steps, 1 if dense_output else checkpoints),
        error_norm=error_norm,
        reduction=reduction,
        dense_output=dense_output,
        given_steps=steps is not None,
        through_step_size=differentiate_step_size,
        jacobian=None if jacobian is None else Field(jacobian, split),
    )
    check_dense_output(config, checkpoints)
    check_config(config, start, smooth, constants)
    ops = operands(
        start.dtype,
        t0=t0,
        stops=stops,
        save_at=times,
        constants=constants,
        rtol=checked_tolerance("rtol", rtol, start),
        atol=checked_tolerance("atol", atol, start),
        first_step=checked_first_step(first_step),
        steps=steps,
        reverse_rtol=checked_tolerance("adjoint_rtol", adjoint_rtol, start, optional=True),
        reverse_atol=checked_tolerance("adjoint_atol", adjoint_atol, start, optional=True),
    )
    ops = ops._replace(
        sound=soundness(t0, times, (rtol, atol, adjoint_rtol, adjoint_atol, first_step))
    )
    given = start
    if config.on_stop is not None:
        start = config.on_stop(jumps_at(ops.stops, ops.t0), t0, start, (smooth, constants))
    out = _jitted(config, True, start, smooth, t0, times, ops)
    ops = ops._replace(params=smooth)
    return solution_of(config, out, dense_output_of(config, out, given, ops, jump_times))


_jitted = jax.jit(solve_outputs, static_argnums=(0, 1))


def operands(
    dtype: Any,
    *,
    t0: Any,
    stops: Stops,
    save_at: Any,
    constants: Tree,
    rtol: Any,
    atol: Any,
    first_step: Any = None,
    steps: Any = None,
    reverse_rtol: Any = None,
    reverse_atol: Any = None,
) -> Operands:
    """Arrays of one dtype for all that a solve reads, besides what is differentiated."""

    def array(value: Any) -> jax.Array:
        return jax.lax.stop_gradient(jnp.asarray(value, dtype))

    t0, times = array(t0), array(save_at)
    reverse_rtol, reverse_atol = (
        array(own if given is None else given)
        for given, own in ((reverse_rtol, rtol), (reverse_atol, atol))
    )
    return Operands(
        params=None,
        constants=constants,
        t0=t0,
        stops=stop_arrays(stops, t0, times[-1]),
        save_at=times,
        rtol=array(rtol),
        atol=array(atol),
        first_step=None if first_step is None else array(first_step),
        steps=None if steps is None else step_arrays(array(steps[0]), array(steps[1])),
        reverse_rtol=reverse_rtol,
        reverse_atol=reverse_atol,
    )


def step_arrays(t: jax.Array, h: jax.Array) -> StepArrays:
    """Given steps; those of size zero at the end fill up, and are not taken."""
    number = jnp.arange(1, h.shape[0] + 1, dtype=jnp.int32)
    count = jnp.max(jnp.where(h == 0, 0, number), initial=0)
    return StepArrays(jnp.stack([t, h], axis=1), count, jnp.int32(1))


def window_size(max_steps: int, checkpoints: int | None) -> int:
    """Steps of a window, so that at most `checkpoints` windows hold ``max_steps`` steps."""
    if checkpoints is None:
        return WINDOW
    return -(-int(max_steps) // positive_int("checkpoints", checkpoints))
