"""The stages of diagonally implicit steps: Newton's method, differentiated implicitly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.newton import MOST_ITERATIONS
from ..steps.runge_kutta import counted, error_scale, root_mean_square
from .linear import linear_solver
from .state import Operands
from .systems.system import System


class Stage(NamedTuple):
    """A stage's slope, and how it was found."""

    slope: jax.Array
    iterations: jax.Array
    converged: jax.Array


class Iterate(NamedTuple):
    """What one Newton iteration hands to the next."""

    slope: jax.Array
    change: jax.Array
    iterations: jax.Array
    converged: jax.Array
    diverged: jax.Array


def solve_stage(
    slope_at: Callable[[jax.Array], jax.Array],
    base: jax.Array,
    guess: jax.Array,
    factors: Any,
    y: jax.Array,
    scaled_h: jax.Array,
    ops: Operands,
    *,
    system: System,
    tolerance: float,
    components: int | None,
) -> Stage:
    """Solve ``k = slope_at(base + gamma h k)`` by simplified Newton iterations.

    Parameters
    ----------
    slope_at : callable
        The right-hand side at the stage, as a function of the state there.
    base : array
        The state at the stage but for its own slope.
    guess : array
        Of the slope.
    factors
        Of ``I - gamma h J`` with the Jacobian at the start of the step.
    y, scaled_h, ops
        The state at the start, ``gamma h`` and the tolerances scale what counts as converged.
    system : System
        What solves with the factors, and of which kind the stage's own matrix is.
    tolerance : float
        Share of the solve's tolerance to which it converges.
    components : int, optional
        Only the first ones of a flat state count.

    Returns
    -------
    Stage
        Its slope is differentiated by the implicit function theorem, with the Jacobian at the
        solution; the iterations are not differentiated. The derivative ``dz`` is that of the state,
        and that of the slope ``(dz - dbase) / (gamma h)``: as the product ``J dz`` it would be that
        of the rounding errors of ``dz`` where ``h J`` is large.

    References
    ----------
    E. Hairer, G. Wanner, Solving ODEs II, 2nd ed. (1996), IV.8 (when to stop).
    """
    scale = lax.stop_gradient(error_scale(y, y, ops.rtol, ops.atol))
    size = lax.stop_gradient(jnp.abs(scaled_h))
    # Below this the iterations only move rounding errors about.
    noise = 8 * jnp.finfo(y.dtype).eps * root_mean_square(jnp.abs(lax.stop_gradient(y)) / scale)

    start, step = lax.stop_gradient((base, scaled_h))

    def residual(state: jax.Array) -> jax.Array:
        return state - base - scaled_h * slope_at(state)

    def slope_residual(k: jax.Array) -> jax.Array:
        return k - slope_at(start + step * k)

    def size_of(step: jax.Array) -> jax.Array:
        return root_mean_square(counted(size * step / scale, components))

    def solve(right: jax.Array) -> jax.Array:
        return system.solve(factors, right.ravel()).reshape(right.shape)

    def tangent_solve(linear: Callable[[jax.Array], jax.Array], right: jax.Array) -> jax.Array:
        matrix = system.jacobian(linear, jnp.zeros_like(right))
        return linear_solver(linear, system.factorize(matrix), system.solve)(right)

    def newton(residual: Callable[..., jax.Array], at: jax.Array) -> Any:
        found = _iterate(slope_residual, guess, solve, size_of, tolerance, noise)
        how = jnp.stack([found.iterations, jnp.int32(found.converged)])
        # As floating numbers, whose tangents `custom_root` can make.
        return start + step * found.slope, (found.slope, how.astype(y.dtype))

    guess = lax.stop_gradient(guess)
    at = start + step * guess
    state, (slope, how) = lax.custom_root(residual, at, newton, tangent_solve, has_aux=True)
    carried = (state - base) / jnp.where(scaled_h == 0, 1, scaled_h)
    slope = lax.stop_gradient(slope) + carried - lax.stop_gradient(carried)
    return Stage(slope, how[0].astype(jnp.int32), how[1] > 0)


def _iterate(
    residual: Callable[..., jax.Array],
    guess: jax.Array,
    solve: Callable[[jax.Array], jax.Array],
    size_of: Callable[[jax.Array], jax.Array],
    tolerance: float,
    noise: jax.Array,
) -> Iterate:
    """Simplified Newton iterations, until changes of the slope are small or do not shrink.

    Parameters
    ----------
    residual, guess
    solve : callable
        With the matrix of the step.
    size_of : callable
        The norm of a change of the slope, as a share of the solve's tolerance.
    tolerance : float
    noise : array
        The norm below which changes are rounding errors.
    """

    def turn(at: Iterate) -> Iterate:
        step = solve(residual(at.slope))
        change = size_of(step)
        rate = jnp.where(at.iterations > 0, change / at.change, 0.5).astype(change.dtype)
        left = jnp.where(rate < 1, rate / (1 - rate) * change, jnp.inf)
        # One iteration alone says nothing about the rate.
        sure = (at.iterations > 0) | (change < 1e-2 * tolerance)
        converged = ((left < tolerance) & sure) | (change <= noise)
        diverged = ~jnp.isfinite(change) | ((rate >= 2) & ~converged)
        return Iterate(at.slope - step, change, at.iterations + 1, converged, diverged)

    def go_on(at: Iterate) -> jax.Array:
        return ~at.converged & ~at.diverged & (at.iterations < MOST_ITERATIONS)

    no = jnp.bool_(False)
    start = Iterate(guess, jnp.zeros_like(noise), jnp.int32(0), no, no)
    return lax.while_loop(go_on, turn, start)
