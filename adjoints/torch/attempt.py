"""One attempt of the adaptive loop: a function of tensors, without a look at their values.

It can be run as it is, compiled, or mapped over lanes; who drives it looks at the status.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..steps.acceptance import (
    CODES,
    FIXED_STEPS,
    RUNNING,
    Step,
    control_error,
    next_size,
    status_after,
    step_terms,
    term_inputs,
)
from ..steps.runge_kutta import dense_value, error_scale
from ..steps.step_size import (
    LARGEST_FACTOR,
    SMALLEST_ERROR,
    SMALLEST_FACTOR,
    first_step,
    nearest_eight_bits,
    next_factor,
)
from .mass import first_slope
from .state import Attempt, Config, Operands, Row, State, Tensors
from .stepping import clipper, dense_of_step, take


class Given(NamedTuple):
    """A step to take without control: its start and size, and whether it ends on the stop."""

    t: torch.Tensor
    h: torch.Tensor
    reaches: torch.Tensor


def start(
    config: Config,
    t0: torch.Tensor,
    y0: torch.Tensor,
    ops: Operands,
    size: torch.Tensor | None,
    end: torch.Tensor,
) -> State:
    """The state before the first attempt; the right-hand side is evaluated once or twice.

    Parameters
    ----------
    config, t0, y0, ops
    size : tensor, optional
        The first step size that was asked for.
    end : tensor
        The last time of the solve.
    """
    clip = clipper(config, ops.lower, ops.upper)
    slope = config.rhs(clip(t0), y0, (ops.params, ops.constants))
    zero = torch.zeros((), dtype=torch.int64, device=y0.device)
    finite = torch.isfinite(slope).all() & torch.isfinite(y0).all()
    return State(
        t=t0,
        y=y0,
        slope=slope,
        h=config.limited(_first_size(config, t0, y0, slope, ops, size, end)),
        previous_error=torch.full_like(t0, SMALLEST_ERROR),
        accepted=zero,
        attempts=zero,
        status=torch.where(finite, RUNNING, CODES["nonfinite"] + zero),
    )


def _first_size(
    config: Config,
    t0: torch.Tensor,
    y0: torch.Tensor,
    slope: torch.Tensor,
    ops: Operands,
    size: torch.Tensor | None,
    end: torch.Tensor,
) -> torch.Tensor:
    if config.given_steps:
        return ops.stop - t0
    if size is not None:
        return size
    if not config.tableau.adaptive:
        return (end - t0) / FIXED_STEPS
    n, y, slope = config.components, y0, first_slope(config, slope)
    scale = error_scale(y0, y0, ops.rtol, ops.atol)
    clip = clipper(config, ops.lower, ops.upper)
    finite: list[torch.Tensor] = []

    def rhs(t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]) -> torch.Tensor:
        found = config.rhs(clip(t), y if n is None else torch.cat([y, y0[n:]]), params)
        finite.append(torch.isfinite(found).all())
        found = first_slope(config, found)
        return found if n is None else found[:n]

    if n is not None:
        y, slope, scale = y0[:n], slope[:n], scale[:n]
    params, order = (ops.params, ops.constants), config.tableau.error_order
    found = first_step(rhs, t0, y, slope, params, scale, ops.stop - t0, order)
    # A trial outside the domain leaves no trace in a derivative.
    through = config.through_step_size and all(map(bool, finite))
    return found if through else found.detach()


def attempt(
    config: Config,
    state: State,
    ops: Operands,
    given: Given | None = None,
    *,
    differentiable: bool = False,
) -> Attempt:
    """Try one step, and judge it.

    Parameters
    ----------
    config, state, ops
    given : Given, optional
        A step to take without control.
    differentiable : bool
        Whether autograd records the attempt.
    """
    if not config.through_step_size:
        t, h, previous = (x.detach() for x in (state.t, state.h, state.previous_error))
        state = state._replace(t=t, h=h, previous_error=previous)
    t, h, reaches = _reach(config, state, ops, given)
    t1 = torch.where(reaches, ops.stop, t + h)
    times = torch.stack([t, h, t1, ops.lower, ops.upper])
    if config.keeps_slopes:
        times = torch.cat([times, state.slope.reshape(-1)])
    row = Row(times, state.y, state.slope if config.first_slopes else None)
    # A tape serves second derivatives too.
    order = 2 if differentiable else 0
    step = take(config, row.times, state.y, state.slope, ops, order=order)
    error = control_error(
        config.tableau,
        step,
        state.y,
        h,
        ops.rtol,
        ops.atol,
        h < state.h,
        controlled=config.controlled,
        components=config.components,
    )
    error = error if config.through_step_size else error.detach()
    accept = error <= 1 if given is None else torch.ones_like(reaches)
    following = _following(config, state, step, (h, t1), error, accept, reaches)
    coefficients = dense_of_step(config, row, step, ops) if config.dense else None
    terms = terms_of_step(config, step, state.y, h, ops) if config.terms else None
    return Attempt(following, accept, row, coefficients, terms, step.linear_solves)


def _following(
    config: Config,
    state: State,
    step: Step,
    taken: tuple[torch.Tensor, torch.Tensor],
    error: torch.Tensor,
    accept: torch.Tensor,
    reaches: torch.Tensor,
) -> State:
    """The state after a step of size and end `taken`, with the size and status of what comes."""
    h, t1 = taken
    size = _next(config, state, h, error, accept & reaches)
    attempts = state.attempts + 1
    status = status_after(
        state.t,
        size,
        attempts,
        config.max_steps,
        error,
        accept,
        accept & reaches,
        step.failure,
        controlled=config.controlled,
    )
    return State(
        t=t1,
        y=step.y1,
        slope=step.slope,
        h=size,
        previous_error=torch.clamp(error, min=SMALLEST_ERROR),
        accepted=state.accepted + accept.to(torch.int64),
        attempts=attempts,
        status=status,
    )


def rejected(state: State, tried: State) -> State:
    """The state after an attempt from `state` that was rejected: nothing moves but the counts."""
    return state._replace(
        h=tried.h, accepted=tried.accepted, attempts=tried.attempts, status=tried.status
    )


def judged(state: State, found: Attempt) -> State:
    """The state after an attempt from `state`, without a look at whether it was accepted."""
    pairs = zip(found.state, rejected(state, found.state), strict=True)
    return State(
        *(new if new is old else torch.where(found.accept, new, old) for new, old in pairs)
    )


def _reach(
    config: Config, state: State, ops: Operands, given: Given | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Start and size of the step to try, and whether it ends on the stop."""
    if given is not None:
        return given
    reaches = state.t + config.stretch * state.h >= ops.stop
    return state.t, torch.where(reaches, ops.stop - state.t, state.h), reaches


def _next(
    config: Config, state: State, h: torch.Tensor, error: torch.Tensor, reached: torch.Tensor
) -> torch.Tensor:
    """The step size to try next, with eight significant bits, as in JAX."""
    if not config.controlled:
        return state.h
    previous = state.previous_error
    if config.through_step_size and _is_limited(config, error.detach(), previous.detach()):
        error, previous = error.detach(), previous.detach()
    proposal = next_size(config.tableau, h, state.h, error, previous, reached)
    return config.limited(proposal if config.through_step_size else with_eight_bits(proposal))


def with_eight_bits(h: torch.Tensor) -> torch.Tensor:
    """A number rounded to eight significant bits; it has no derivative."""
    number = h.detach().to(torch.float32).view(torch.int32)
    return nearest_eight_bits(number).view(torch.float32).to(h.dtype)


def _is_limited(config: Config, error: torch.Tensor, previous: torch.Tensor) -> bool:
    """Whether the step changes by a constant factor, whatever the derivative of its error is.

    Autograd would multiply that derivative by zero: NaN, where it is not finite.
    """
    factor = next_factor(error, previous, config.tableau.error_order)
    return not bool((factor > SMALLEST_FACTOR) & (factor < LARGEST_FACTOR))


def terms_of_step(
    config: Config, step: Step, y: torch.Tensor, h: torch.Tensor, ops: Operands
) -> torch.Tensor:
    """The regularisers' terms of a step, shape (3,)."""
    inputs = term_inputs(config.tableau, step, y, config.error_norm)
    terms = step_terms(inputs, h, ops.rtol, ops.atol)
    missing = torch.full_like(h, float("nan"))
    return torch.stack([missing if term is None else term for term in terms])


def evaluate(
    times: torch.Tensor, y: torch.Tensor, coefficients: torch.Tensor, save_at: torch.Tensor
) -> torch.Tensor:
    """Dense output at times, from the row in which each time lies.

    Parameters
    ----------
    times : tensor, shape (rows, 5)
        In the order of time.
    y : tensor, shape (rows, ``*y.shape``)
    coefficients : tensor, shape (rows, degree, ``*y.shape``)
    save_at : tensor, shape (m,)

    Returns
    -------
    tensor, shape (m, ``*y.shape``)
    """
    at, h, fraction = _where(times, save_at)
    own = (len(at), *(1,) * (y.ndim - 1))
    by_power = coefficients[at].movedim(1, 0)
    return dense_value(by_power, y[at], h.reshape(own), fraction.reshape(own))


def evaluate_transposed(
    times: torch.Tensor, degree: int, save_at: torch.Tensor, dys: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The cotangents of ``y`` and ``coefficients`` of :func:`evaluate`, which is linear in both.

    Parameters
    ----------
    times, save_at
    degree : int
        Of the dense output.
    dys : tensor, shape (m, ``*y.shape``)
        Cotangents of the values.
    """
    at, h, fraction = _where(times, save_at)
    powers = fraction[:, None] ** torch.arange(1, degree + 1, device=h.device)
    weights = (h[:, None] * powers).reshape(len(at), degree, *(1,) * (dys.ndim - 1))
    dy = dys.new_zeros(len(times), *dys.shape[1:]).index_add(0, at, dys)
    empty = dys.new_zeros(len(times), degree, *dys.shape[1:])
    return dy, empty.index_add(0, at, weights * dys[:, None])


def _where(
    times: torch.Tensor, save_at: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The rows in which times lie, their step sizes, and the fractions of the steps."""
    at = row_of(times, save_at)
    h = times[at, 1]
    return at, h, (save_at - times[at, 0]) / h


def row_of(times: torch.Tensor, save_at: torch.Tensor) -> torch.Tensor:
    """The rows in which times lie."""
    starts = times[:, 0].contiguous()
    return torch.clamp(torch.searchsorted(starts, save_at.clone(), right=True) - 1, min=0)
