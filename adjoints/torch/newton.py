"""The stages of diagonally implicit steps: Newton's method, differentiated implicitly."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from ..steps.newton import MOST_ITERATIONS
from ..steps.runge_kutta import counted, error_scale, root_mean_square
from .linear import Matvec
from .state import Operands
from .transforms import is_batched

Residual = Callable[[torch.Tensor], torch.Tensor]
Norm = Callable[[torch.Tensor], torch.Tensor]


class Found(NamedTuple):
    """A stage's slope, which carries no derivative, and how it was found."""

    slope: torch.Tensor
    iterations: torch.Tensor
    converged: torch.Tensor


class Goal(NamedTuple):
    """When iterations end.

    ``size_of`` is the norm of a change of the slope as a share of the solve's tolerance,
    ``tolerance`` where it is small enough, and ``noise`` where it is rounding.
    """

    size_of: Norm
    tolerance: float
    noise: torch.Tensor


def goal_of(
    y: torch.Tensor,
    scaled_h: torch.Tensor,
    ops: Operands,
    tolerance: float,
    components: int | None,
) -> Goal:
    """The goal of all stages of a step from `y`; only the first `components` of a state count."""
    y, size = y.detach(), scaled_h.detach().abs()
    scale = error_scale(y, y, ops.rtol, ops.atol)
    noise = 8 * torch.finfo(y.dtype).eps * root_mean_square(y.abs() / scale)
    return Goal(
        lambda step: root_mean_square(counted(size * step / scale, components)), tolerance, noise
    )


def iterate(residual: Residual, guess: torch.Tensor, solve: Matvec, goal: Goal) -> Found:
    """Simplified Newton iterations, until changes of the slope are small or do not shrink.

    Under ``vmap``, where nobody can look, all are made, and those after the last one left out.

    References
    ----------
    E. Hairer, G. Wanner, Solving ODEs II, 2nd ed. (1996), IV.8 (when to stop).
    """
    slope, change = guess.detach(), goal.noise
    going = torch.ones_like(goal.noise, dtype=torch.bool)
    converged, iterations = ~going, going.to(torch.int64) * 0
    for number in range(MOST_ITERATIONS):
        step = solve(residual(slope).detach())
        size = goal.size_of(step)
        rate = size / change if number else torch.full_like(size, 0.5)
        left = torch.where(rate < 1, rate / (1 - rate) * size, torch.inf)
        # One iteration alone says nothing about the rate.
        small = left < goal.tolerance if number else size < 1e-2 * goal.tolerance
        done = (small & (left < goal.tolerance)) | (size <= goal.noise)
        slope = torch.where(going, slope - step, slope)
        iterations = iterations + going.to(torch.int64)
        converged = converged | (going & done)
        going = going & ~done & torch.isfinite(size) & (rate < 2)
        change = size
        if not is_batched(going) and not bool(going):
            break
    return Found(slope, iterations, converged)


def with_derivative(
    residual: Residual, slope: torch.Tensor, solver: Callable[[], Matvec], order: int
) -> torch.Tensor:
    """`slope`, with the derivative that the implicit function theorem gives the root.

    A Newton step from the root, on what is left of the residual there, moves nothing and has the
    root's derivative; each further one makes one more derivative right.

    Parameters
    ----------
    residual : callable
        What vanishes at the slope, to the tolerance of the iterations.
    slope : tensor
    solver : callable
        Gives what solves with the derivative of `residual` at the slope.
    order : int
        How often the slope will be differentiated.
    """
    if order == 0:
        return slope
    solve, left, found = solver(), residual(slope).detach(), slope
    for _ in range(order):
        found = found - solve(residual(found) - left)
    return found
