"""One step of whatever method is asked for: explicit, Rosenbrock or diagonally implicit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from ..steps.acceptance import Step, explicit_step
from ..steps.rosenbrock import rosenbrock_stages
from ..steps.runge_kutta import combine, dense_coefficients, dense_stages
from .dirk import dirk_step
from .implicit_steps import failure_of, frozen_jacobian, implicit_pair
from .linear import linear_solver
from .mass import mass_times, step_matrix
from .state import Config, Operands, Row

Clip = Callable[[torch.Tensor], torch.Tensor]


def clipper(config: Config, lower: torch.Tensor, upper: torch.Tensor) -> Clip:
    """Keeps stage times on this side of discontinuities.

    The time inside counts as the time itself in derivatives, as a Rosenbrock step that begins on
    a stop needs the derivative of the right-hand side by time.
    """
    if not config.breaks:
        return lambda t: t

    def clip(t: torch.Tensor) -> torch.Tensor:
        own = t.detach()
        return torch.minimum(torch.maximum(own, lower), upper) + (t - own)

    return clip


def take(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    first: torch.Tensor | None,
    ops: Operands,
    *,
    order: int,
) -> Step:
    """One step.

    Parameters
    ----------
    config : Config
    times : tensor, shape (5,) or longer
        As in a :class:`.state.Row`.
    y : tensor
        From where.
    first : tensor, optional
        The right-hand side at the start, where it is known.
    ops : Operands
    order : int
        How often the step will be differentiated: linear solves cost a product more for each.
    """
    t, h, t1, lower, upper, *_ = times
    params = (ops.params, ops.constants)
    clip = clipper(config, lower, upper)
    if not config.tableau.implicit:
        return explicit_step(config.rhs, config.tableau, t, y, h, t1, first, params, clip)
    if config.tableau.kind == "dirk":
        return dirk_step(config, times, y, first, ops, clip, order)
    return _rosenbrock(config, times, y, first, ops, clip, order)


def _rosenbrock(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    first: torch.Tensor | None,
    ops: Operands,
    clip: Clip,
    order: int,
) -> Step:
    tab, jvp = config.tableau, config.derivatives.jvp
    t, h, t1, *_ = times
    params = (ops.params, ops.constants)

    def rhs(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return config.rhs(clip(t), y, params)

    slope = rhs(t, y) if first is None else first
    system, formed = config.system, frozen_jacobian(config, clip(t), y, ops)
    factors = system.factorize(step_matrix(config, formed.matrix, h))

    mass = partial(mass_times, config)

    def matvec(u: torch.Tensor) -> torch.Tensor:
        return mass(u) / tab.gamma - h * jvp(lambda y: rhs(t, y), y, u)

    time_slope = jvp(lambda t: rhs(t, y), t, torch.ones_like(t))
    solve = linear_solver(matvec, partial(system.solve, factors), order)
    stages = rosenbrock_stages(rhs, tab, t, y, h, slope, time_slope, solve, mass)
    y1 = y + h * combine(tab.b, stages)
    pair = implicit_pair(config, lambda y: rhs(t1, y), stages, y1, h)
    return Step(y1, stages, rhs(t1, y1), pair, failure_of(formed, factors))


def dense_of_step(config: Config, row: Row, step: Step, ops: Operands) -> torch.Tensor:
    """Coefficients of the dense output; the stages that only it needs are evaluated."""
    tab, stages = config.tableau, step.stages
    if tab.stages > len(stages):
        t, h, _, lower, upper, *_ = row.times
        params = (ops.params, ops.constants)
        clip = clipper(config, lower, upper)
        stages = dense_stages(config.rhs, tab, t, row.y, h, params, list(stages), clip)
    return dense_coefficients(tab, stages)
