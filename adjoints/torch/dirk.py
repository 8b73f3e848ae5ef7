"""A step of a diagonally implicit Runge-Kutta method: Newton's method a stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
        first = first_slope(config.rhs(clip(t), y, params), times)
    made, failure = prepared_stages(config, times, y, ops, clip, order)
    stages, failure, solves = made.all_from(first, failure)
    y1 = y + h * combine(tab.b, stages)
    if not tab.stiffly_accurate:
        stages.append(end(y1))
    pair = implicit_pair(config, end, stages, y1, h)
    slow = None if tab.error is None else made.solve(combine(tab.error, stages))
    return Step(y1, stages, stages[-1], pair, failure, solves, slow_error=slow)


def first_slope(here: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """The slope that was used, where a row has it, with the derivative of the right-hand side."""
    if times.shape[-1] == 5:
        return here
    return times[5:].reshape(here.shape) + here - here.detach()


def prepared_stages(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    ops: Operands,
    clip: Clip,
    order: int,
) -> tuple[DirkStages, torch.Tensor]:
    """The stages of a step with the matrix that they are found by, and how that fails."""
    scaled_h = config.tableau.gamma * times[1]
    formed = frozen_jacobian(config, clip(times[0]), y, ops)
    factors = _factors(config, scaled_h, formed.matrix)
    goal = goal_of(y, scaled_h, ops, NEWTON_TOLERANCE, config.components)
    solve = partial(config.system.solve, factors)
    made = DirkStages(config, times, y, ops, clip, solve, goal, order)
    return made, failure_of(formed, factors)


def _factors(config: Config, scaled_h: torch.Tensor, jacobian: torch.Tensor) -> Factors:
    return config.system.factorize(config.system.shifted(jacobian, 1.0, -scaled_h))


@dataclass
class DirkStages:
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

    def state(self, i: int, stages: Sequence[torch.Tensor], k: torch.Tensor) -> torch.Tensor:
        """The state at stage `i`, where its slope is `k`."""
        tab, h = self.config.tableau, self.times[1]
        return self.y + h * combine(tab.a[i, :i], stages[:i]) + tab.gamma * h * k

    def slope_at(self, i: int, y: torch.Tensor, params: Any) -> torch.Tensor:
        """The right-hand side at the time of stage `i`."""
        tab, (t, h, *_) = self.config.tableau, self.times
        beyond = self.config.breaks and tab.c[i] > 1
        return (self._beyond if beyond else self._within)(t + float(tab.c[i]) * h, y, params)

    def factors_at(self, i: int, state: torch.Tensor) -> Factors:
        """Of the derivative of what stage `i` solves, at its state; it carries none itself."""
        config, held = self.config, (tuple(p.detach() for p in self.ops.params), self.ops.constants)
        formed = config.system.jacobian(
            config.derivatives, lambda y: self.slope_at(i, y, held), state.detach()
        )
        matrix = formed.matrix
        if formed.is_whole is not None:
            # A derivative by a matrix that lacks entries would be wrong without a word.
            matrix = torch.where(formed.is_whole, matrix, math.nan)
        return _factors(config, config.tableau.gamma * self.times[1], matrix)

    def _stage(self, i: int, stages: list[torch.Tensor]) -> tuple[torch.Tensor, Found]:
        """The slope of stage `i`, which may be differentiated, and how it was found."""
        params = (self.ops.params, self.ops.constants)

        def residual(k: torch.Tensor) -> torch.Tensor:
            return k - self.slope_at(i, self.state(i, stages, k), params)

        with torch.no_grad():
            guess = stage_guess(self.config.tableau, i, stages)
            found = iterate(residual, guess, self.solve, self.goal)

        def at_root() -> Matvec:
            state = self.state(i, stages, found.slope)
            return partial(self.config.system.solve, self.factors_at(i, state))

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
