"""Mass matrices on JAX: consistent values, and the slopes of a solution."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..mass.algebraic import (
    INDEX,
    MOST_ITERATIONS,
    POLISHING,
    Update,
    constraint_matrix,
    has_settled,
    is_regular,
    is_rounding,
    newton_update,
    slope_system,
    step_size,
)
from ..mass.matrix import MassMatrix, product
from ..steps.acceptance import CODES, RUNNING
from ..steps.runge_kutta import Rhs
from .config import Config
from .linear import jacobian_of
from .sides import clipper, time_limits
from .state import Limits, Operands
from .systems.system import Matrix

Tree = Any


def step_matrix(config: Config, gamma: float, jacobian: Matrix, h: jax.Array) -> Matrix:
    """``M / gamma - h J``, as the system keeps it; for a step of size zero regular all the same."""
    system, mass = config.system, config.mass
    if mass is None:
        return system.shifted(jacobian, 1 / gamma, -h)
    # Entries of arrays that are known are taken before anything is compiled.
    matrices: Any = (mass.unit, mass.matrix)
    unit, own = map(system.of_matrix, matrices)
    known = jnp.where(h == 0, unit, own)
    return known / gamma - h * jacobian


def mass_times(
    config: Config, *, lead: int = 0, transposed: bool = False
) -> Callable[[jax.Array], jax.Array]:
    """The product with the mass matrix, or with its transpose, of arrays like the state."""
    mass = config.mass
    if mass is None:
        return lambda u: u
    return partial(mass.transposed_times if transposed else mass.times, lead=lead)


def slope_by_state(
    config: Config, t: jax.Array, y: jax.Array, params: Tree, clip: Callable[..., Any] | None = None
) -> jax.Array:
    """``y'`` of a solution that goes through a consistent state; differentiable."""
    mass = config.mass

    def rhs(t: jax.Array, y: jax.Array) -> jax.Array:
        return config.rhs(t if clip is None else clip(t), y, params)

    slope = rhs(t, y)
    if mass is None:
        return slope
    if not mass.algebraic:
        return product(mass.inverse, slope)
    jacobian = jacobian_of(lambda y: rhs(t, y), y)
    in_time = jax.jvp(lambda t: rhs(t, y), (t,), (jnp.ones_like(t),))[1]
    matrix, right = slope_system(mass, slope, jacobian, in_time)
    return jnp.linalg.solve(matrix, right).reshape(y.shape)


def first_slope(config: Config, slope: jax.Array) -> jax.Array:
    """``y'`` from the right-hand side, its algebraic components left out: for a first guess."""
    return slope if config.mass is None else product(config.mass.inverse, slope)


def begun(
    config: Config, t0: jax.Array, y0: jax.Array, ops: Operands
) -> tuple[jax.Array, Operands]:
    """A consistent start value, differentiable, and what a solve reads that begins with it."""
    mass = config.mass
    if mass is None or not mass.algebraic:
        return y0, ops
    limits = time_limits(config, ops.stops.first, ops)
    start, code = _consistent(config, mass, limits, t0, y0, (ops.params, ops.constants))
    return start, ops._replace(begins=lax.stop_gradient(code))


def after_stop(
    config: Config, number: jax.Array, t1: jax.Array, y1: jax.Array, ops: Operands
) -> jax.Array:
    """The state behind a stop: after its jump, and consistent with the equations that follow.

    At the end of a solve nothing follows, and without a jump the state stays as it is.
    """
    params, mass = (ops.params, ops.constants), config.mass
    which = ops.stops.jumps[number]
    if config.on_stop is not None:
        y1 = config.on_stop(which, t1, y1, params)
    if mass is None or not mass.algebraic:
        return y1
    limits = time_limits(config, jnp.minimum(number + 1, ops.stops.last), ops)
    acts = (number < ops.stops.last) | (which >= 0).any()
    found, _ = _consistent(config, mass, limits, t1, y1, params)
    return jnp.where(acts, found, y1)


def _consistent(
    config: Config, mass: MassMatrix, limits: Limits, t: jax.Array, y: jax.Array, params: Tree
) -> tuple[jax.Array, jax.Array]:
    clip = clipper(limits)
    return consistent(mass, lambda t, y, p: config.rhs(clip(t), y, p), t, y, params)


def consistent(
    mass: MassMatrix, rhs: Rhs, t: jax.Array, y: jax.Array, params: Tree
) -> tuple[jax.Array, jax.Array]:
    """The consistent state with the same ``M y``; NaN, and a status code, where none is found.

    Newton's method goes to rounding with nothing differentiated; two steps more, from where it
    ends, carry the derivatives.
    """
    held = lax.stop_gradient((t, y, params))
    found, code = _root(mass, lambda y: rhs(held[0], y, held[2]), held[1])
    out = y + (lax.stop_gradient(found) - held[1])
    for _ in range(POLISHING):
        out = out - _update(mass, lambda y: rhs(t, y, params), out).change
    return jnp.where(code == RUNNING, out, jnp.nan), code


def _update(mass: MassMatrix, rhs: Callable[[jax.Array], jax.Array], y: jax.Array) -> Update:
    return newton_update(mass, y, rhs(y), jacobian_of(rhs, y), jnp.linalg.inv)


def _root(
    mass: MassMatrix, rhs: Callable[[jax.Array], jax.Array], y: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The state by Newton's method, and the status code: ``RUNNING`` where all is well."""

    def active(carry: Tree) -> jax.Array:
        y, _, done, _, number = carry
        return ~done & jnp.isfinite(y).all() & (number < MOST_ITERATIONS)

    def turn(carry: Tree) -> Tree:
        y, before, _, _, number = carry
        update = _update(mass, rhs, y)
        y = y - update.change
        done = has_settled(y, update, before)
        return y, step_size(y, update), done, is_rounding(y, update), number + jnp.int32(1)

    no = jnp.bool_(False)
    start = (y, jnp.full((), jnp.inf, y.dtype), no, no, jnp.int32(0))
    found, _, _, small, _ = lax.while_loop(active, turn, start)
    there = small & jnp.isfinite(found).all()
    at = jnp.where(there, found, y)
    fit = is_regular(constraint_matrix(mass, jacobian_of(rhs, at)))
    code = jnp.where(there, RUNNING, CODES["newton"])
    return found, jnp.where(fit, code, CODES["linear_solve"]).astype(jnp.int32)


def check_index(config: Config, t0: jax.Array, y0: jax.Array, ops: Operands) -> None:
    """Refuse algebraic equations that do not determine their unknowns at known start values.

    Raises
    ------
    ValueError
    """
    code = jax.jit(lambda *given: begun(config, *given)[1].begins)(t0, y0, ops)
    if code is not None and int(code) == CODES["linear_solve"]:
        raise ValueError(f"mass: {INDEX}")
