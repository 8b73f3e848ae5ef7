"""``solve``: the open JAX solver, differentiable by the adjoint of your choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from ...problems.event import DEFAULT_MAX_EVENTS, Event, check_max_events, listed_events
from ..arguments import listed, positive_int
from ..steps.runge_kutta import Rhs
from ..steps.stops import Stops, check_jumps
from .config import WINDOW, Config
from .dense_output import check_dense_output, dense_output_of
from .differentiable import solve_outputs
from .engines import choose_engine, differentiated_in_place
from .events.declared import arrays_of, declared_times, with_events
from .events.outputs import event_record
from .inputs import (
    check_config,
    checked_array,
    checked_mass_of,
    checked_newton_tolerance,
    checked_size,
    checked_steps,
    checked_tolerance,
    constant_size,
    steps_needed,
)
from .solution import Solution, solution_of
from .solvers import find_solver
from .state import Operands, StepArrays
from .state_layout import flat_state
from .systems.found import solved_how, with_system
from .times import check_known_times, goes_backwards, jumps_at, may_repeat, soundness
from .user_functions import JaxView, user_functions

Tree = Any


def solve(
    rhs: Rhs,
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
    step_size: Any = None,
    number_of_steps: int | None = None,
    max_step: Any = None,
    error_norm: str = "scaled",
    reduction: str = "sum",
    first_step: Any = None,
    checkpoints: int | None = None,
    dense_output: bool = False,
    differentiate_step_size: bool = False,
    discontinuities: Iterable[float] = (),
    jump_times: Iterable[float] = (),
    jump: Callable[..., Any] | None = None,
    events: Event | Iterable[Event] = (),
    max_events: int = DEFAULT_MAX_EVENTS,
    adjoint_solver: str | None = None,
    adjoint_rtol: Any = None,
    adjoint_atol: Any = None,
    jacobian: Callable[..., Any] | None = None,
    newton_tolerance: float = 1e-2,
    linear_solver: str = "auto",
    jacobian_sparsity: Any = None,
    mass: Any = None,
    engine: str = "auto",
) -> Solution:
    """Solve ``y' = rhs(t, y, params)`` from `t0`, and be differentiable.

    Composes with ``jit``, ``vmap``, ``grad`` and ``jacrev``, and the discrete adjoint with
    ``hessian``: second derivatives are forward mode over reverse mode (``jacfwd(grad)``,
    ``jvp(grad)``), exact for the accepted steps; JAX refuses ``jacrev(grad)``. Gradients flow to
    `y0`, `params`, `args`, `t0` and `save_at`, to traced values that the functions close over, and
    to the arrays of functions that are pytrees, as modules of Equinox are.

    Parameters
    ----------
    rhs : callable
        ``rhs(t, y, params)``, an array of the shape and dtype of `y0`, or a list of its
        components. Without `params` it may take ``(t, y)`` alone. Pass the same function object
        again to use what was compiled for it.
    y0 : array, or pytree of arrays
        The start value, any shape; its dtype is the solve's dtype. Of a structure, as a tuple or
        a dict, which may be nested, `rhs` and `jump` get and return the same structure.
    save_at : array, shape (m,)
        Times in order, none before `t0`; the solve ends with the last. It goes backwards where
        that is known to be less than `t0`: then none lies after it. They may be repeated, as
        where series of different lengths are padded with their last time.
    params : pytree
        Arrays and floats are parameters. Whole numbers, names, functions and the like in it
        reach `rhs` as they are, as parts of the program, and must be hashable.
    args : tuple, optional
        The same as several arguments, in place of `params`: every function is called with
        ``*args`` at the end.
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
    rtol, atol : float or array, or structure of them
        Tolerances; arrays of the shape of `y0` set them per component, a structure like `y0` of
        numbers and arrays for each of its arrays.
    max_steps : int
        Attempts allowed. :func:`~adjointbench.prepare` allows 16384 by default.
    steps : tuple of array, optional
        ``(t, h)`` to take with no control, as ``solution.steps`` gives them. They must begin
        at `t0`, go on from each other, end on every stop and at ``save_at[-1]``, or the status
        is ``"failed"``. Steps of size zero at the end do nothing.
    step_size, number_of_steps : float, int, optional
        Steps of one size with no control, by any solver: the size, or how many there are from
        start to end. Every stop is stepped on, and the last step before one shortened. A
        continuous adjoint controls its own steps.
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
        How many states to keep for the reverse pass, which recomputes between them. By
        default all accepted steps where ``max_steps`` of them take 2 MiB at most, else the last
        256 and the first of each 256 before. With `events` all are kept.
    dense_output : bool
        Keep the accepted steps, so that ``solution(t)`` is the solution at any time of the span,
        by the interpolation that gives the saves, differentiable by the same adjoint;
        ``solution(t, side="before")`` and ``solution.before_jumps`` are the states before jumps.
        Takes room for ``max_steps`` states; the stages are computed again when they are read.
    differentiate_step_size : bool
        Differentiate through the step-size control as well.
    discontinuities : iterable of float
        Times to step onto because `rhs` is not smooth there. Each step sees `rhs` from its own
        side. Those outside the span have no effect. Traced ones move: derivatives by them flow.
    jump_times, jump : iterable of float, callable
        ``jump(i, t, y, params)`` is the state just after ``jump_times[i]``, in the direction of
        the solve; a save at a jump time is the value after it. Of several jumps at one time the
        first acts first; those outside the span do not act. Where ``i`` may be an array, as in
        ``params["dose"][i]``, it is one, and compiling takes no longer for many jumps. Derivatives
        by the times flow where they are traced; of these four may be the same.
    events : sequence of Event
        Where the state crosses a threshold, and what happens to it there: see
        :class:`~adjointbench.Event`. ``solution.event_times``, ``event_index`` and
        ``event_states`` tell of them, and can be differentiated.
    max_events : int
        How many there may be; more are the status ``"max_events"``.
    adjoint_solver, adjoint_rtol, adjoint_atol : optional
        For the reverse solve of a continuous adjoint; the forward ones by default. The absolute
        one is in the units of the state: see :mod:`~adjointbench.adjoints.adjoint_units`.
    jacobian : callable, optional
        ``jacobian(t, y, params)``, shape ``(n, n)`` for a state of ``n`` components: the exact
        Jacobian of `rhs`, for implicit solvers. By default it is formed by forward mode. Of a
        structure, by all components in the order of its leaves.
    newton_tolerance : float
        Share of the tolerance to which the stages of ``"kvaerno5"`` and
        ``"implicit_midpoint"`` converge. Against stages that converge to rounding, the default
        changed the gradients of Robertson, Van der Pol (mu = 1000) and HIRES with ``"kvaerno5"``
        by 1e-10 … 3e-8, less at smaller `rtol` (1e-4 … 1e-8), and mostly less than the error of
        the steps themselves.
    linear_solver : {"auto", "dense", "banded", "sparse", "gmres"}
        How implicit solvers solve their linear systems. ``"auto"``: from 32 unknowns on the places
        where the Jacobian may have entries are found from the equations, and where they are few it
        is formed by as many products as they need, and factorised as a band (LAPACK) or as a sparse
        matrix (SuperLU); where factors would fill up, as in three dimensions, incomplete ones
        precondition GMRES. ``solution.linear_solver`` tells which, and why not.
    jacobian_sparsity : optional
        These places, where they are known: a matrix of SciPy, a boolean array of shape ``(n, n)``,
        or their rows and columns.
    mass : array_like, shape (n, n), optional
        ``M`` of ``M y' = rhs(t, y, params)``, for all components in the order of the leaves of
        `y0`; known, and not differentiated. It may be singular, with algebraic equations of index
        1: the solve begins with the consistent values whose ``M y`` is that of `y0`, and goes on
        with such after jumps and discontinuities. For ``"rodas5p"`` and ``"rodas4p"``, with
        ``adjoint="discrete"`` or ``"forward"``; there is no ``stiffness_estimate`` then.
    engine : {"auto", "native", "xla"}
        What runs: ``"native"`` a program in C that the equations are translated to, several times
        as fast for small systems on a CPU, with explicit and Rosenbrock solvers and
        ``adjoint="discrete"``; ``"xla"`` what JAX compiles, which takes the same steps, and the one
        that ``jax.export`` can write down. ``"auto"``: native where it can be; ``solution.engine``
        tells, and why not.

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
    start, layout = flat_state(y0)
    times = checked_array("save_at", save_at, start.dtype)
    t0 = checked_array("t0", t0, start.dtype)
    view = JaxView(layout, backwards=goes_backwards(times, t0))
    check_known_times(times, t0, backwards=view.backwards)
    times, t0 = view.turned(times), view.turned(t0)
    jump_times, discontinuities = (
        tuple(view.turned(t) for t in listed(name, given))
        for name, given in (("jump_times", jump_times), ("discontinuities", discontinuities))
    )
    check_jumps(jump_times, jump)
    declared = declared_times(jump_times, discontinuities, start.dtype)
    user = user_functions(
        (rhs, jump, jacobian),
        len(jump_times),
        params,
        args,
        view,
        start,
        listed_events(events),
        declared.moving,
    )
    stops, room = declared.stops(t0, times[-1], start.dtype), check_max_events(max_events)
    steps = checked_steps(steps, start.dtype, backwards=view.backwards)
    size = constant_size(
        step_size,
        number_of_steps,
        t0,
        times[-1],
        steps=steps,
        first_step=first_step,
        max_step=max_step,
    )
    if steps is not None and max_step is not None:
        raise ValueError("max_step limits the step-size control, and here the steps are given")
    allowed = positive_int("max_steps", max_steps) if steps is None else len(steps[0])
    config = Config(
        rhs=user.rhs,
        solver=find_solver(solver, checked_newton_tolerance(newton_tolerance)),
        on_stop=user.jump,
        adjoint=adjoint,
        adjoint_solver=find_solver(adjoint_solver or solver, argument="adjoint_solver"),
        breaks=stops.breaks,
        repeats=may_repeat(times),
        max_steps=allowed if size is None else max(allowed, steps_needed(size, t0, stops)),
        window=window_size(max_steps, 1 if dense_output else checkpoints),
        error_norm=error_norm,
        reduction=reduction,
        dense_output=dense_output,
        given_steps=steps is not None,
        constant_steps=size is not None,
        through_step_size=differentiate_step_size,
        jacobian=user.jacobian,
        mass=checked_mass_of(mass, start, solver, adjoint),
    )
    config = with_events(config, user, declared, room)
    check_dense_output(config, checkpoints)
    params_and_constants = (user.smooth, user.constants)
    check_config(config, start, *params_and_constants)
    platform = jax.default_backend()
    config, ran = choose_engine(
        engine,
        config,
        start,
        params_and_constants,
        stops,
        platform,
        checkpoints,
        linear_solver,
        **{
            "jacobian": jacobian is not None,
            "a solve with events": config.events is not None,
            "a solve with traced times": declared.moving is not None,
        },
    )
    config = with_system(
        linear_solver, config, start, params_and_constants, jacobian_sparsity, platform
    )
    tolerances = {
        "rtol": ("rtol", rtol),
        "atol": ("atol", atol),
        "reverse_rtol": ("adjoint_rtol", adjoint_rtol),
        "reverse_atol": ("adjoint_atol", adjoint_atol),
    }
    numbers = {
        **{
            name: checked_tolerance(
                argument,
                view.tolerance(argument, value, start),
                start,
                optional=argument.startswith("adjoint"),
            )
            for name, (argument, value) in tolerances.items()
        },
        "first_step": checked_size("first_step", first_step) if size is None else size,
        "max_step": checked_size("max_step", max_step),
    }
    ops = operands(
        start.dtype,
        t0=t0,
        stops=stops,
        moving=declared.moving,
        save_at=times,
        constants=user.constants,
        steps=steps,
        **numbers,
    )
    ops = ops._replace(sound=soundness(t0, times, numbers.values(), declared.moving))
    given = start
    if config.on_stop is not None:
        start = config.on_stop(jumps_at(ops.stops, ops.t0), t0, start, params_and_constants)
    arguments = (config, True, start, user.smooth, t0, times, ops)
    out = (solve_outputs if differentiated_in_place(arguments) else _jitted)(*arguments)
    for function in user.written:
        function.note_changes()
    ops = ops._replace(params=user.smooth)
    dense = dense_output_of(config, out, given, ops, jump_times, view)
    record = event_record(config, out, (user.smooth, user.constants), view)
    return solution_of(config, out, dense, view, ran, solved_how(config), record)


_jitted = jax.jit(solve_outputs, static_argnums=(0, 1))


def operands(
    dtype: Any,
    *,
    t0: Any,
    stops: Stops,
    moving: Any = None,
    save_at: Any,
    constants: Tree,
    rtol: Any,
    atol: Any,
    first_step: Any = None,
    max_step: Any = None,
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
        stops=arrays_of(stops, moving, t0, times[-1]),
        save_at=times,
        rtol=array(rtol),
        atol=array(atol),
        first_step=None if first_step is None else array(first_step),
        max_step=None if max_step is None else array(max_step),
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
