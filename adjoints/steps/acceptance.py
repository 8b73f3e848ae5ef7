"""What happens in one attempted step, for every backend: how it is judged and what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from ..result import STATUSES
from .runge_kutta import (
    Array,
    Rhs,
    counted,
    embedded_error,
    error_scale,
    error_slopes,
    root_mean_square,
    step_stages,
    stiffness,
    stiffness_pair,
)
from .step_size import STRETCH, next_factor
from .tableau import Tableau

#: The code of a solve that goes on; those of finished ones are in :data:`CODES`.
RUNNING = -1
CODES = {name: code for code, name in enumerate(STATUSES)}

#: Steps that a fixed-step method takes where no ``first_step`` is given.
FIXED_STEPS = 100

#: A step that was given reaches the next stop where so many times its size would: it may end
#: short of it or beyond it by rounding, and begin so far from the end of the one before.
STRETCH_GIVEN = 1.000001

#: The error of a step cut short by a stop counts as smaller than it is by so much at most.
MOST_DAMPED = 4.0


class Step(NamedTuple):
    """What one step yields.

    ``stages`` are what new state, error and dense output are combined from, ``slope`` is the
    right-hand side at the new state, ``pair`` the two differences of the stiffness estimate.
    ``failure`` is a status code, or ``RUNNING`` where all is well, and ``linear_solves`` a
    count; both are ``None`` for an explicit method. ``radius`` estimates the largest eigenvalue,
    for a solver that switches. ``slow_error`` is the embedded error over the step size, without
    the components that a stiff equation damps at once; ``None`` where the estimate has none.
    """

    y1: Array
    stages: Sequence[Array]
    slope: Array
    pair: tuple[Array, Array] | None
    failure: Array | None = None
    linear_solves: Array | None = None
    radius: Array | None = None
    slow_error: Array | None = None


class Terms(NamedTuple):
    """What one step adds to the regularisers: E |h|, E^2 and S |h|; ``None`` where unknown."""

    error: Array | None
    error_squared: Array | None
    stiffness: Array | None


def explicit_step(
    rhs: Rhs,
    tableau: Tableau,
    t: Array,
    y: Array,
    h: Array,
    t1: Array,
    first: Array | None,
    params: Any,
    clip_time: Callable[[Array], Array],
    new_state: Callable[[Array], Array] | None = None,
) -> Step:
    """One step of an explicit method.

    Parameters
    ----------
    rhs, tableau, params
    t, y, h : array
        From where, and how far.
    t1 : array
        The end of the step: ``t + h``, or exactly the stop that it reaches.
    first : array, optional
        The right-hand side at the start, where it is known.
    clip_time : callable
        Keeps stage times on the right side of a discontinuity.
    new_state : callable, optional
        What is taken for the new state, of what the stages make it.
    """
    y1, stages = step_stages(rhs, tableau, t, y, h, params, first, clip_time)
    y1 = y1 if new_state is None else new_state(y1)
    slope = rhs(clip_time(t1), y1, params)
    stages = [*stages, slope]
    return Step(y1, stages, slope, stiffness_pair(tableau, stages, y, y1, h))


def stretch_of(tableau: Tableau) -> float:
    """A step ends on the next stop where so many times its size would reach it."""
    return STRETCH if tableau.adaptive else STRETCH_GIVEN


def given_step_slack(t: Array, h: Array, stop: Array) -> Array:
    """By how much a step that was given may miss where it should begin or end, by rounding."""
    xp = array_namespace(h)
    rounding = 64 * float(xp.finfo(t.dtype).eps) * xp.maximum(xp.abs(t), xp.abs(stop))
    return (STRETCH_GIVEN - 1) * xp.abs(h) + rounding


def given_step_fits(t: Array, h: Array, reached: Array, stop: Array) -> Array:
    """Whether a step that was given goes on from the time `reached`, and not beyond the `stop`.

    Steps of size zero, which fill up what is given, do nothing and always fit.
    """
    xp = array_namespace(h)
    allowed = given_step_slack(t, h, stop)
    fits = (xp.abs(t - reached) <= allowed) & (t + h <= stop + allowed) & (h > 0)
    return fits | (h == 0)


def control_error(
    tableau: Tableau,
    step: Step,
    y: Array,
    h: Array,
    rtol: Array,
    atol: Array,
    cut_short: Array | bool = False,
    *,
    controlled: bool,
    components: int | None = None,
) -> Array:
    """The norm that decides; a step with no control fails only where it is not finite.

    Parameters
    ----------
    tableau, step, y, h
    rtol, atol : array
    cut_short : array
        Whether the step is shorter than it would have been without a stop. The accepted error of
        the step before, which a stiff equation damps within this one, would reject it then
        whatever its size.
    controlled : bool
        Whether the step size is controlled by the error.
    components : int, optional
        Only the first ones of a flat state count (a seminorm).
    """
    xp = array_namespace(h)
    if controlled:
        scale = error_scale(y, step.y1, rtol, atol)
        error = embedded_error(error_slopes(tableau, step.stages), h, scale, components)
        if step.slow_error is not None:
            slow = xp.abs(h) * root_mean_square(counted(step.slow_error / scale, components))
            error = xp.where(cut_short, xp.maximum(slow, error / MOST_DAMPED), error)
    else:
        zero = xp.zeros_like(h)
        error = xp.where(xp.all(xp.isfinite(step.y1)), zero, zero + float("nan"))
    if step.failure is None:
        return error
    return xp.where(step.failure < 0, error, xp.zeros_like(error) + float("inf"))


def next_size(
    tableau: Tableau, h: Array, planned: Array, error: Array, previous_error: Array, reached: Array
) -> Array:
    """The step size to try next; one cut short by a stop does not shrink what follows.

    Parameters
    ----------
    tableau : Tableau
        An adaptive one.
    h, planned : array
        The size that was tried, and the one that would have been without a stop.
    error, previous_error : array
    reached : array
        Whether the step was accepted and ended on a stop.
    """
    xp = array_namespace(h)
    proposal = h * next_factor(error, previous_error, tableau.error_order)
    return xp.where(reached, xp.maximum(proposal, planned), proposal)


def status_after(
    t: Array,
    h: Array,
    attempts: Array,
    max_steps: int,
    error: Array,
    accept: Array,
    finished: Array,
    failure: Array | None,
    *,
    controlled: bool,
) -> Array:
    """How things stand after an attempt, as an integer code.

    Parameters
    ----------
    t, h, attempts : array
        Time, next step size and number of attempts after it.
    max_steps : int
    error, accept, finished : array
        What decided, what was decided, and whether the end is reached.
    failure : array or None
        The step's own code, where it has one.
    controlled : bool
        Whether the step size is controlled by the error.
    """
    xp = array_namespace(t)

    def code(value: int) -> Array:
        return xp.zeros_like(attempts) + value

    broken = xp.logical_not(xp.isfinite(error))
    stuck = broken
    if controlled:
        stuck = xp.logical_not(accept) & (h <= 16 * float(xp.finfo(t.dtype).eps) * xp.abs(t))
    status = xp.where(attempts >= max_steps, code(CODES["max_steps"]), code(RUNNING))
    reason = xp.where(broken, code(CODES["nonfinite"]), code(CODES["step_too_small"]))
    if failure is not None:
        reason = xp.where(failure < 0, reason, failure)
    status = xp.where(stuck, reason, status)
    return xp.where(finished & xp.logical_not(stuck), code(CODES["ok"]), status)


class TermInputs(NamedTuple):
    """What the terms of a step are made of; ``None`` and empty for what is not known.

    ``ends`` are the states before and after it, by which a scaled error is measured, ``errors``
    the embedded ones over the step size, and ``pair`` the differences of the stiffness estimate.
    """

    ends: tuple[Array, Array] | None
    errors: tuple[Array, ...]
    pair: tuple[Array, Array] | None


def term_inputs(
    tableau: Tableau, step: Step, y: Array, error_norm: str, wanted: Terms | None = None
) -> TermInputs:
    """What the terms of a step from `y` are made of.

    Parameters
    ----------
    tableau, step, y
    error_norm : {"scaled", "absolute"}
        Whether the embedded error is divided by the tolerances.
    wanted : Terms, optional
        ``None`` in place of the terms that are not; all by default.
    """
    with_error = wanted is None or not (wanted.error is None and wanted.error_squared is None)
    with_pair = wanted is None or wanted.stiffness is not None
    errors = error_slopes(tableau, step.stages) if tableau.adaptive and with_error else ()
    ends = (y, step.y1) if errors and error_norm == "scaled" else None
    return TermInputs(ends, errors, step.pair if with_pair else None)


def step_terms(inputs: TermInputs, h: Array, rtol: Array, atol: Array) -> Terms:
    """The step's terms of the regularisers, as far as they are known."""
    size = array_namespace(h).abs(h)
    error = squared = None
    if inputs.errors:
        scale = None if inputs.ends is None else error_scale(*inputs.ends, rtol, atol)
        norm = embedded_error(inputs.errors, h, scale)
        error, squared = norm * size, norm * norm
    return Terms(error, squared, None if inputs.pair is None else stiffness(inputs.pair) * size)
