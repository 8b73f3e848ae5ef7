"""``solve``: the open JAX solver, differentiable by the adjoint of your choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..methods import check_name
from ..result import STATUSES
from ..runge_kutta import Rhs
from ..stops import Stops
from ..tableaus import tableau
from .continuous import CONTINUOUS
from .differentiable import ADJOINTS, solve_outputs
from .fields import Field, Jump, split_params, stops_between
from .record import Outputs, jacobian_evals, rhs_evals
from .state import WINDOW, Config, Operands

Tree = Any


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "ys",
        "error_estimate",
        "error_squared",
        "stiffness_estimate",
        "stats",
        "status_code",
        "padded_steps",
    ],
    meta_fields=[],
)
@dataclass(frozen=True)
class Solution:
    """A solve, with the inside of the solver as differentiable outputs.

    Attributes
    ----------
    ys : array, shape ``(len(save_at), *y0.shape)``
        The solution at the save times; NaN where the solver broke down.
    error_estimate : array or None
        R_E: the norm of the embedded error of each accepted step times its size, reduced.
        ``None`` for a method without an embedded error.
    error_squared : array or None
        R_E2: the squared norm of the embedded error of each accepted step, reduced.
    stiffness_estimate : array or None
        R_S: Shampine's stiffness estimate of each accepted step times its size, reduced.
        ``None`` for a method without two stages at the same time.
    stats : dict of str to array
        ``steps``, ``rejected``, ``rhs_evals``, ``jacobian_evals`` and ``linear_solves``.
    status_code : array
        Index into :data:`~adjointbench.adjoints.result.STATUSES`.
    padded_steps : array, shape ``(max_steps, 2)``
        The accepted steps, filled up with steps of size zero.
    """

    ys: jax.Array
    error_estimate: jax.Array | None
    error_squared: jax.Array | None
    stiffness_estimate: jax.Array | None
    stats: dict[str, jax.Array]
    status_code: jax.Array
    padded_steps: jax.Array

    @property
    def status(self) -> Any:
        """``"ok"`` or what went wrong; the integer code(s) while tracing or for a batch."""
        code = self.status_code
        if isinstance(code, Tracer) or code.ndim:
            return code
        return STATUSES[int(code)]

    @property
    def steps(self) -> tuple[jax.Array, jax.Array]:
        """``(t, h)`` of the accepted steps; ``solve(..., steps=these)`` takes them again.

        While tracing, and for a batch, they are filled up with steps of size zero at the end
        time, which change nothing.
        """
        t, h = self.padded_steps[..., 0], self.padded_steps[..., 1]
        if isinstance(h, Tracer) or h.ndim != 1:
            return t, h
        count = int(self.stats["steps"])
        return t[:count], h[:count]


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

    Composes with ``jit``, ``vmap``, ``grad`` and ``jacrev``. Gradients flow to `y0`, `params`
    and `save_at`, and to nothing else: `rhs` must not close over values to be differentiated.

    Parameters
    ----------
    rhs : callable
        ``rhs(t, y, params)``, an array of the shape and dtype of `y0`. Pass the same function
        object again to use what was compiled for it.
    y0 : array
        The start value, any shape; its dtype is the solve's dtype.
    save_at : array, shape (m,)
        Increasing times not before `t0`; the solve ends with the last.
    params : pytree of arrays
    t0 : float
        The start time; not differentiated.
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
        Attempts allowed.
    steps : tuple of array, optional
        ``(t, h)`` to take with no control, as ``solution.steps`` gives them. They must begin
        at `t0` and end at ``save_at[-1]``.
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
    differentiate_step_size : bool
        Differentiate through the step-size control as well.
    discontinuities : iterable of float
        Times to step onto because `rhs` is not smooth there.
    jump_times, jump : iterable of float, callable
        ``jump(i, t, y, params)`` is the state just after ``jump_times[i]``; a save at a jump
        time is the value after it.
    adjoint_solver, adjoint_rtol, adjoint_atol : optional
        For the reverse solve of a continuous adjoint; the forward ones by default.
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
        Breakdown is told by its ``status``; the values are NaN then, and so are gradients.

    Raises
    ------
    ValueError
        For arguments that make no sense.
    """
    y0 = jnp.asarray(y0)
    if not jnp.issubdtype(y0.dtype, jnp.inexact):
        y0 = y0.astype(jnp.result_type(float))
    save_at = _check_save_at(save_at, t0, y0.dtype)
    smooth, constants, split = split_params(params)
    stops = stops_between(discontinuities, jump_times, t0, _concrete_end(save_at))
    config = Config(
        rhs=Field(rhs, split),
        solver=solver,
        on_stop=None if jump is None else Jump(jump, stops.jumps, split),
        adjoint=adjoint,
        adjoint_solver=adjoint_solver or solver,
        breaks=bool(stops.times),
        max_steps=_check_max_steps(max_steps if steps is None else len(steps[0])),
        window=window_size(max_steps, checkpoints),
        error_norm=error_norm,
        reduction=reduction,
        given_steps=steps is not None,
        through_step_size=differentiate_step_size,
        jacobian=None if jacobian is None else Field(jacobian, split),
        newton_tolerance=_check_newton_tolerance(newton_tolerance),
    )
    _check_config(config, y0, smooth, constants)
    ops = operands(
        y0.dtype,
        t0=t0,
        stops=stops,
        end=save_at[-1],
        constants=constants,
        rtol=rtol,
        atol=atol,
        first_step=first_step,
        steps=steps,
        reverse_rtol=adjoint_rtol,
        reverse_atol=adjoint_atol,
    )
    return _solution(config, _jitted(config, True, y0, smooth, save_at, ops))


_jitted = jax.jit(solve_outputs, static_argnums=(0, 1))


def operands(
    dtype: Any,
    *,
    t0: Any,
    stops: Stops,
    end: jax.Array,
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
        return jnp.asarray(value, dtype)

    times = jnp.concatenate([array(stops.times).reshape(-1), array(end)[None]])
    return Operands(
        params=None,
        constants=constants,
        t0=array(t0),
        stops=jax.lax.stop_gradient(times),
        save_at=array(end)[None],
        rtol=array(rtol),
        atol=array(atol),
        first_step=None if first_step is None else array(first_step),
        steps=None if steps is None else (array(steps[0]), array(steps[1])),
        reverse_rtol=array(rtol if reverse_rtol is None else reverse_rtol),
        reverse_atol=array(atol if reverse_atol is None else reverse_atol),
    )


def window_size(max_steps: int, checkpoints: int | None) -> int:
    """Steps of a window, so that at most `checkpoints` windows hold ``max_steps`` steps."""
    if checkpoints is None:
        return WINDOW
    if int(checkpoints) < 1:
        raise ValueError(f"checkpoints={checkpoints!r} must be at least 1")
    return -(-int(max_steps) // int(checkpoints))


def _check_save_at(save_at: Any, t0: Any, dtype: Any) -> jax.Array:
    """The save times as an array; refused where they do not increase from `t0`."""
    times = jnp.asarray(save_at, dtype)
    if times.ndim != 1 or times.shape[0] == 0:
        raise ValueError(f"save_at has shape {times.shape}; pass one increasing list of times")
    if isinstance(times, Tracer) or isinstance(t0, Tracer):
        return times
    values = np.asarray(times)
    if not (np.diff(values) > 0).all() or values[0] < float(t0) or values[-1] == float(t0):
        raise ValueError(
            f"save_at={save_at!r} must increase strictly, from t0={t0!r} on, and end after it"
        )
    return times


def _concrete_end(save_at: jax.Array) -> Any:
    return save_at[-1] if isinstance(save_at, Tracer) else float(np.asarray(save_at)[-1])


def _check_max_steps(max_steps: Any) -> int:
    if int(max_steps) < 1:
        raise ValueError(f"max_steps={max_steps!r} must be at least 1")
    return int(max_steps)


def _check_newton_tolerance(value: Any) -> float:
    if not 0 < float(value) < 1:
        raise ValueError(f"newton_tolerance={value!r} must lie between 0 and 1, as 0.01 does")
    return float(value)


def _check_config(
    config: Config, y0: jax.Array, smooth: list[jax.Array], constants: list[jax.Array]
) -> None:
    """Refuse names that are not known, what does not combine, and a misshapen right-hand side."""
    check_name("adjoint", config.adjoint, ADJOINTS)
    check_name("error_norm", config.error_norm, ("scaled", "absolute"))
    check_name("reduction", config.reduction, ("sum", "mean", "max"))
    tableau(config.solver)
    tableau(config.adjoint_solver)
    if config.through_step_size and config.adjoint in CONTINUOUS:
        raise ValueError(
            f"differentiate_step_size=True: adjoint={config.adjoint!r} does not differentiate "
            "the steps; use adjoint='discrete' or 'forward'"
        )
    t = jax.ShapeDtypeStruct((), y0.dtype)
    slope = jax.eval_shape(config.rhs, t, y0, (smooth, constants))
    if slope.shape != y0.shape or slope.dtype != y0.dtype:
        raise ValueError(
            f"rhs returned shape {slope.shape} and dtype {slope.dtype}; y0 has shape {y0.shape} "
            f"and dtype {y0.dtype}, and rhs must return the same"
        )
    if config.jacobian is not None:
        matrix = jax.eval_shape(config.jacobian, t, y0, (smooth, constants))
        if matrix.shape != (y0.size, y0.size):
            raise ValueError(
                f"jacobian returned shape {matrix.shape}; y0 has {y0.size} components, and "
                f"jacobian must return shape {(y0.size, y0.size)}"
            )


def _solution(config: Config, out: Outputs) -> Solution:
    final, totals = out.final, out.totals
    stats = {
        "steps": final.accepted,
        "rejected": final.attempts - final.accepted,
        "rhs_evals": rhs_evals(config, final),
        "jacobian_evals": jacobian_evals(config, final),
        "linear_solves": final.linear_solves,
    }
    assert out.steps is not None
    return Solution(
        ys=out.ys,
        error_estimate=totals.error,
        error_squared=totals.error_squared,
        stiffness_estimate=totals.stiffness,
        stats=stats,
        status_code=final.status,
        padded_steps=_padded(out.steps[:-1], final.accepted, final.t),
    )


def _padded(steps: jax.Array, count: jax.Array, end: jax.Array) -> jax.Array:
    """The steps, filled up with steps of size zero at the end."""
    taken = jnp.arange(steps.shape[0], dtype=count.dtype) < count
    idle = jnp.stack([end, jnp.zeros_like(end)])
    return jnp.where(taken[:, None], steps, idle)
