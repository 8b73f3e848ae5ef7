"""How the step size is chosen: Hairer's first step and a PI controller, for every backend.

References
----------
E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I, 2nd ed. (1993),
section II.4 (first step and control), and K. Gustafsson, ACM Trans. Math. Softw. 17 (1991)
533-554 (PI control).
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from .runge_kutta import Array, Rhs, root_mean_square

SAFETY = 0.9
SMALLEST_FACTOR = 0.2
LARGEST_FACTOR = 10.0
#: Share of the integral exponent that the proportional part takes over.
PROPORTIONAL = 0.04
#: The last error never counts as smaller than this.
SMALLEST_ERROR = 1e-4
#: A step that would end this close before a stop is stretched to end on it.
STRETCH = 1.01


def next_factor(error: Array, previous_error: Array, error_order: float) -> Array:
    """By how much to change the step size after a step with this error norm.

    A rejected step (error above 1) shrinks by the plain rule. An error that is not finite
    shrinks the step by the smallest factor.
    """
    xp = array_namespace(error)
    order = error_order + 1
    size = xp.log(xp.maximum(error, 1e-10 * xp.ones_like(error)))
    accepted = -(1 / order - 0.75 * PROPORTIONAL) * size + PROPORTIONAL * xp.log(previous_error)
    exponent = xp.where(error <= 1, accepted, -size / order)
    factor = xp.clip(SAFETY * xp.exp(exponent), SMALLEST_FACTOR, LARGEST_FACTOR)
    return xp.where(xp.isfinite(error), factor, SMALLEST_FACTOR * xp.ones_like(factor))


def nearest_eight_bits(number: Array) -> Array:
    """Numbers of single precision rounded to eight significant bits, as 32-bit integers of bits.

    By their bits, as a cast to bfloat16 and back rounds: compilers may leave out both.
    """
    to_even = 0x7FFF + ((number >> 16) & 1)
    return ((number + to_even) >> 16) << 16


def first_step(
    rhs: Rhs,
    t0: Array,
    y0: Array,
    slope: Array,
    params: Any,
    scale: Array,
    span: Array,
    error_order: int,
) -> Array:
    """Hairer's first step size, at most the `span`; one evaluation of the right-hand side.

    Parameters
    ----------
    rhs : callable
    t0, y0, slope : array
        Start time, start value, and the right-hand side there.
    params : pytree
    scale : array
        ``atol + rtol |y0|``.
    span : array
        The time to go.
    error_order : int
        Order of the embedded solution.
    """
    size, speed = root_mean_square(y0 / scale), root_mean_square(slope / scale)
    guess = trial_step(size, speed, span)
    ahead = rhs(t0 + guess, y0 + guess * slope, params)
    bent = root_mean_square((ahead - slope) / scale)
    return step_after_trial(guess, speed, bent, span, error_order)


def trial_step(size: Array, speed: Array, span: Array) -> Array:
    """The size of the trial step of :func:`first_step`, from the norms of state and slope."""
    xp = array_namespace(size)
    tiny = (size < 1e-5) | (speed < 1e-5)
    safe_speed = xp.where(speed > 0, speed, xp.ones_like(speed))
    guess = xp.where(tiny, 1e-6 * xp.ones_like(size), 0.01 * size / safe_speed)
    return xp.minimum(guess, span)


def step_after_trial(
    guess: Array, speed: Array, bent: Array, span: Array, error_order: int
) -> Array:
    """The first step size, from the norms of the slope and of its change in the trial step."""
    xp = array_namespace(guess)
    largest = xp.maximum(speed, bent / guess)
    flat = largest <= 1e-15
    power = (0.01 / xp.where(flat, xp.ones_like(largest), largest)) ** (1 / (error_order + 1))
    second = xp.where(flat, xp.maximum(1e-6 * xp.ones_like(guess), guess * 1e-3), power)
    step = xp.minimum(xp.minimum(100 * guess, second), span)
    return xp.where(xp.isfinite(step), step, 1e-6 * span)
