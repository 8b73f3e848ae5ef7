"""A step of a diagonally implicit Runge-Kutta method: Newton's method a stage."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..steps.acceptance import CODES, RUNNING, Step
from ..steps.newton import CONTINUED_FROM, NEWTON_TOLERANCE, continued_weights, stage_guess
from ..steps.runge_kutta import combine
from .implicit_steps import failure_of, frozen_jacobian, implicit_pair
from .linear import Factors, Matvec
from .newton import Found, Goal, goal_of, iterate, with_derivative
from .state import Config, Operands

Clip = Callable[[torch.Tensor], torch.Tensor]


def dirk_step(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    first: torch.Tensor | None,
    ops: Operands,
    clip: Clip,
    order: int,
) -> Step:
    """One step, stage by stage, all with one matrix; see :func:`.stepping.take`."""
    tab, (t, h, t1, *_) = config.tableau, times
    params = (ops.params, ops.constants)

    def end(y: torch.Tensor) -> torch.Tensor:
        return config.rhs(clip(t1), y, params)

    if first is None:
        first = _first_slope(config.rhs(clip(t), y, params), times)
    scaled_h = tab.gamma * h
    formed = frozen_jacobian(config, clip(t), y, ops)
    factors = _factors(config, scaled_h, formed.matrix)
    solve = partial(config.system.solve, factors)
    goal = goal_of(y, scaled_h, ops, NEWTON_TOLERANCE, config.components)
    made = _Stages(config, times, y, ops, clip, solve, goal, order)
    stages, failure, solves = made.all_from(first, failure_of(formed, factors))
    y1 = y + h * combine(tab.b, stages)
    if not tab.stiffly_accurate:
        stages.append(end(y1))
    pair = implicit_pair(config, end, stages, y1, h)
    slow = None if tab.error is None else solve(combine(tab.error, stages))
    return Step(y1, stages, stages[-1], pair, failure, solves, slow_error=slow)


def _first_slope(here: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """The slope that was used, where a row has it, with the derivative of the right-hand side."""
    if times.shape[-1] == 5:
        return here
    return times[5:].reshape(here.shape) + here - here.detach()


def _factors(config: Config, scaled_h: torch.Tensor, jacobian: torch.Tensor) -> Factors:
    return config.system.factorize(config.system.shifted(jacobian, 1.0, -scaled_h))


@dataclass
class _Stages:
    """The stages of one step: what :func:`dirk_step` is given, its systems, and Newton's goal."""

    config: Config
    times: torch.Tensor
    y: torch.Tensor
    ops: Operands
    clip: Clip
    solve: Matvec
    goal: Goal
    order: int

    def all_from(
        self, first: torch.Tensor, failure: torch.Tensor
    ) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """The stages that make the new state, how they were found, and in how many solves."""
        stages = [first]
        solves = torch.zeros_like(failure)
        for i in range(1, self.config.tableau.steps):
            slope, found = self._stage(i, stages)
            stages.append(slope)
            solves = solves + found.iterations
            diverged = (failure == RUNNING) & ~found.converged
            failure = torch.where(diverged, CODES["newton"], failure)
        return stages, failure, solves

    def _stage(self, i: int, stages: list[torch.Tensor]) -> tuple[torch.Tensor, Found]:
        """The slope of stage `i`, which may be differentiated, and how it was found."""
        tab, (t, h, *_) = self.config.tableau, self.times
        scaled_h, time = tab.gamma * h, t + float(tab.c[i]) * h
        base = self.y + h * combine(tab.a[i, :i], stages)
        slope_at = self._beyond if self.config.breaks and tab.c[i] > 1 else self._within

        def residual(k: torch.Tensor) -> torch.Tensor:
            params = (self.ops.params, self.ops.constants)
            return k - slope_at(time, base + scaled_h * k, params)

        with torch.no_grad():
            found = iterate(residual, stage_guess(tab, i, stages), self.solve, self.goal)

        def at_root() -> Matvec:
            state = (base + scaled_h * found.slope).detach()
            held = (tuple(p.detach() for p in self.ops.params), self.ops.constants)
            formed = self.config.system.jacobian(
                self.config.derivatives, lambda y: slope_at(time.detach(), y, held), state
            )
            matrix = formed.matrix
            if formed.is_whole is not None:
                # A derivative by a matrix that lacks entries would be wrong without a word.
                matrix = torch.where(formed.is_whole, matrix, math.nan)
            return partial(self.config.system.solve, _factors(self.config, scaled_h, matrix))

        return with_derivative(residual, found.slope.detach(), at_root, self.order), found

    def _within(self, time: torch.Tensor, y: torch.Tensor, params: Any) -> torch.Tensor:
        """The right-hand side at a stage."""
        return self.config.rhs(self.clip(time), y, params)

    def _beyond(self, time: torch.Tensor, y: torch.Tensor, params: Any) -> torch.Tensor:
        """The same at the stage of a method that lies after the end of the step.

        Where a stop is in between, it is continued from within the step, by a polynomial in time
        at the stage's own state: at the last time before the stop the method would lose its order.
        """
        t, h, _, _, upper, *_ = self.times
        nodes = [self._within(t + node * h, y, params) for node in CONTINUED_FROM]
        continued = combine(continued_weights(self.config.tableau), nodes)
        return torch.where(time > upper, continued, self._within(time, y, params))
