"""One step of whatever method is asked for: explicit, Rosenbrock or diagonally implicit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..steps.error_test import CODES, RUNNING, Step, explicit_step
from ..steps.rosenbrock import rosenbrock_stages
from ..steps.runge_kutta import combine, stiffness
from ..steps.tableau import Tableau
from . import loops
from .dirk import solve_stage, stage_guess
from .linear import factorize, is_finite, jacobian_of, linear_solver, solve_with
from .state import Config, Operands
from .switching import SWITCHED, is_implicit

Tree = Any
#: The open interval between two stops; ``None`` if endless.
Limits = tuple[jax.Array, jax.Array] | None
Clip = Callable[[jax.Array], jax.Array]


def clipper(limits: Limits) -> Clip:
    """Keeps stage times within `limits`; by derivative they stay what they are.

    At a stop the derivative by time is that of the side of the step. The slope of the clip, which
    is zero there, would take it away from Rosenbrock steps.
    """
    if limits is None:
        return lambda t: t
    # The difference is exactly zero.
    return lambda t: lax.stop_gradient(jnp.clip(t, *limits)) + (t - lax.stop_gradient(t))


def take(
    config: Config,
    t: jax.Array,
    y: jax.Array,
    h: jax.Array,
    t1: jax.Array,
    first: jax.Array | None,
    ops: Operands,
    limits: Limits,
    phase: jax.Array | None,
) -> Step:
    """One step.

    Parameters
    ----------
    config : Config
    t, y, h : array
        From where, and how far.
    t1 : array
        The end of the step: ``t + h``, or exactly the stop that it reaches.
    first : array, optional
        The right-hand side at the start, where it is known.
    ops : Operands
    limits : tuple of array, optional
        The interval on this side of discontinuities, in which stage times are kept.
    phase : array, optional
        Which method is next, for a solver that switches.
    """
    params = (ops.params, ops.constants)
    clip = clipper(limits)
    if not config.tableau.implicit:
        return explicit_step(config.rhs, config.tableau, t, y, h, t1, first, params, clip)
    if config.passive_from is not None:
        return _without_passive(config, t, y, h, t1, first, ops, limits, phase)
    if config.switches:
        assert phase is not None
        return _switching(config, t, y, h, t1, first, ops, limits, phase)

    def rhs(t: jax.Array, y: jax.Array) -> jax.Array:
        return config.rhs(clip(t), y, params)

    slope = rhs(t, y) if first is None else first
    jacobian = _jacobian(config, clip(t), y, params)
    if config.tableau.kind == "rosenbrock":
        return _rosenbrock(config, rhs, jacobian, t, y, h, t1, slope)
    beyond = rhs if limits is None else _beyond(rhs, config.tableau, t, h, limits)
    return _dirk(config, rhs, beyond, jacobian, t, y, h, t1, slope, ops)


#: Fractions of a step from which the right-hand side is continued beyond a stop: as many as
#: the order of the method needs.
CONTINUED_FROM = (0.0, 0.25, 0.5, 0.75, 1.0)


def _beyond(
    rhs: Callable[[jax.Array, jax.Array], jax.Array],
    tab: Tableau,
    t: jax.Array,
    h: jax.Array,
    limits: tuple[jax.Array, jax.Array],
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The right-hand side at the stage of a method that lies after the end of the step.

    Where a stop is in between, it is continued from within the step, by a polynomial in time at
    the stage's own state: at the last time before the stop the method would lose its order.
    """
    latest = float(np.max(tab.c))
    weights = [
        np.prod([(latest - x) / (node - x) for x in CONTINUED_FROM if x != node])
        for node in CONTINUED_FROM
    ]

    def continued(t: jax.Array, h: jax.Array, y: jax.Array) -> jax.Array:
        return combine(np.array(weights), [rhs(t + node * h, y) for node in CONTINUED_FROM])

    def beyond(time: jax.Array, y: jax.Array) -> jax.Array:
        passes = time > limits[1]
        return lax.cond(passes, lambda y: continued(t, h, y), lambda y: rhs(time, y), y)

    return beyond


def _switching(
    config: Config,
    t: jax.Array,
    y: jax.Array,
    h: jax.Array,
    t1: jax.Array,
    first: jax.Array | None,
    ops: Operands,
    limits: Limits,
    phase: jax.Array,
) -> Step:
    """A step of the explicit or of the implicit method, in the form of ``"auto"``."""
    stiff = is_implicit(phase)
    if first is None:
        first = config.rhs(clipper(limits)(t), y, (ops.params, ops.constants))
    explicit, implicit = (replace(config, solver=solver) for solver in SWITCHED)

    def run_explicit(h: Any, *rest: Any) -> Step:
        return _common_form(explicit, h[0], *rest)

    def run_implicit(h: Any, *rest: Any) -> Step:
        return _common_form(implicit, h[1], *rest)

    # Where lanes disagree both branches run: the one that is not chosen takes a step of size
    # zero, in which nothing overflows.
    zero = jnp.zeros_like(h)
    sizes = (jnp.where(stiff, zero, h), jnp.where(stiff, h, zero))
    choose = lax.cond if config.plain else loops.cond_any
    return choose(stiff, run_implicit, run_explicit, sizes, t, y, t1, first, ops, limits)


def _common_form(
    config: Config,
    h: jax.Array,
    t: jax.Array,
    y: jax.Array,
    t1: jax.Array,
    first: jax.Array,
    ops: Operands,
    limits: Limits,
) -> Step:
    """A step whose "stages" are its error and the powers of its dense output."""
    step = take(config, t, y, h, t1, first, ops, limits, None)
    tab = config.tableau
    assert step.pair is not None
    assert tab.error is not None
    radius = lax.stop_gradient(stiffness(step.pair) if step.radius is None else step.radius)
    return Step(
        y1=step.y1,
        stages=[combine(tab.error, step.stages), *(combine(d, step.stages) for d in tab.dense.T)],
        slope=step.slope,
        pair=step.pair,
        failure=jnp.int32(RUNNING) if step.failure is None else step.failure,
        linear_solves=jnp.int32(0) if step.linear_solves is None else step.linear_solves,
        radius=radius,
    )


def _without_passive(
    config: Config,
    t: jax.Array,
    y: jax.Array,
    h: jax.Array,
    t1: jax.Array,
    first: jax.Array | None,
    ops: Operands,
    limits: Limits,
    phase: jax.Array | None,
) -> Step:
    """An implicit step of the active components of a flat state; the others stay."""
    n = config.passive_from
    passive = y[n:]

    def still(slope: jax.Array) -> jax.Array:
        return jnp.concatenate([slope, jnp.zeros_like(passive)])

    active_config = replace(config, rhs=_active_rhs(config, passive), passive_from=None)
    rtol, atol = (tol[:n] if tol.ndim else tol for tol in (ops.rtol, ops.atol))
    ops = ops._replace(rtol=rtol, atol=atol)
    first = None if first is None else first[:n]
    step = take(active_config, t, y[:n], h, t1, first, ops, limits, phase)
    return step._replace(
        y1=jnp.concatenate([step.y1, passive]),
        stages=[still(stage) for stage in step.stages],
        slope=still(step.slope),
        slow_error=None if step.slow_error is None else still(step.slow_error),
    )


def _active_rhs(config: Config, passive: jax.Array) -> Callable[..., jax.Array]:
    """The right-hand side of the active components, the others given."""

    def rhs(t: jax.Array, active: jax.Array, params: Tree) -> jax.Array:
        return config.rhs(t, jnp.concatenate([active, passive]), params)[: config.passive_from]

    return rhs


def _jacobian(config: Config, t: jax.Array, y: jax.Array, params: Tree) -> jax.Array:
    """The Jacobian that the linear systems are made of; it carries no derivative."""
    t, y, params = lax.stop_gradient((t, y, params))
    if config.jacobian is not None:
        return config.jacobian(t, y, params)
    return jacobian_of(lambda y: config.rhs(t, y, params), y)


def _rosenbrock(
    config: Config,
    rhs: Callable[[jax.Array, jax.Array], jax.Array],
    jacobian: jax.Array,
    t: jax.Array,
    y: jax.Array,
    h: jax.Array,
    t1: jax.Array,
    slope: jax.Array,
) -> Step:
    tab = config.tableau
    matrix = jnp.eye(y.size, dtype=y.dtype) / tab.gamma - h * jacobian
    factors = factorize(matrix)

    def matvec(u: jax.Array) -> jax.Array:
        return u / tab.gamma - h * jax.jvp(lambda y: rhs(t, y), (y,), (u,))[1]

    time_slope = jax.jvp(lambda t: rhs(t, y), (t,), (jnp.ones_like(t),))[1]
    solve = linear_solver(matvec, factors)
    stages = rosenbrock_stages(rhs, tab, t, y, h, slope, time_slope, solve)
    y1 = y + h * combine(tab.b, stages)
    singular = is_finite(matrix) & ~is_finite(factors)
    failure = jnp.where(singular, CODES["linear_solve"], RUNNING).astype(jnp.int32)
    pair = implicit_pair(tab, lambda y: rhs(t1, y), stages, y1, h)
    return Step(y1, stages, rhs(t1, y1), pair, failure, jnp.int32(tab.steps), _norm(jacobian))


def _norm(jacobian: jax.Array) -> jax.Array:
    """The largest sum of a row: no eigenvalue is larger."""
    return jnp.max(jnp.sum(jnp.abs(jacobian), axis=1))


def start_radius(config: Config, t0: jax.Array, y0: jax.Array, ops: Operands) -> jax.Array:
    """The norm of the Jacobian at the start; passive components of a flat state are left out."""
    n = config.passive_from
    if n is None:
        return _norm(_jacobian(config, t0, y0, (ops.params, ops.constants)))
    active = replace(config, rhs=_active_rhs(config, y0[n:]), passive_from=None)
    return _norm(_jacobian(active, t0, y0[:n], (ops.params, ops.constants)))


def implicit_pair(
    tab: Tableau,
    slope: Callable[[jax.Array], jax.Array],
    stages: list[jax.Array],
    y1: jax.Array,
    h: jax.Array,
) -> tuple[jax.Array, jax.Array] | None:
    """The two differences of Shampine's stiffness estimate, for an implicit step.

    Between the new state and a stage's state at the same time, which are too close for the
    difference of their slopes: the product of the Jacobian with the difference of the states.

    Parameters
    ----------
    tab : Tableau
    slope : callable
        The right-hand side at the end of the step, as a function of the state.
    stages, y1, h
        Of the step.
    """
    if tab.stiffness_stages is None:
        return None
    apart = h * combine(tab.b - tab.a[tab.stiffness_stages[0]], stages)
    return jax.jvp(slope, (y1,), (apart,))[1], apart


def _dirk(
    config: Config,
    rhs: Callable[[jax.Array, jax.Array], jax.Array],
    beyond: Callable[[jax.Array, jax.Array], jax.Array],
    jacobian: jax.Array,
    t: jax.Array,
    y: jax.Array,
    h: jax.Array,
    t1: jax.Array,
    slope: jax.Array,
    ops: Operands,
) -> Step:
    tab = config.tableau
    matrix = jnp.eye(y.size, dtype=y.dtype) - tab.gamma * h * jacobian
    factors = factorize(matrix)
    singular = is_finite(matrix) & ~is_finite(factors)
    failure = jnp.where(singular, CODES["linear_solve"], RUNNING).astype(jnp.int32)
    solves = jnp.int32(0)
    stages = [slope]
    for i in range(1, tab.steps):
        base = y + h * combine(tab.a[i, :i], stages)
        time = t + float(tab.c[i]) * h
        slope_at = beyond if tab.c[i] > 1 else rhs

        def slope_of(
            k: jax.Array, time: jax.Array = time, base: jax.Array = base, slope_at: Any = slope_at
        ) -> jax.Array:
            return slope_at(time, base + tab.gamma * h * k)

        guess = stage_guess(tab, i, stages)
        found = solve_stage(config, slope_of, guess, factors, y, tab.gamma * h, ops)
        stages.append(found.slope)
        solves = solves + found.iterations
        diverged = (failure == RUNNING) & ~found.converged
        failure = jnp.where(diverged, CODES["newton"], failure).astype(jnp.int32)
    y1 = y + h * combine(tab.b, stages)
    if not tab.stiffly_accurate:
        stages.append(rhs(t1, y1))
    pair = implicit_pair(tab, lambda y: rhs(t1, y), stages, y1, h)
    slow = None
    if tab.error is not None:
        slow = solve_with(factors, combine(tab.error, stages).ravel()).reshape(y.shape)
    return Step(y1, stages, stages[-1], pair, failure, solves, slow_error=slow)
