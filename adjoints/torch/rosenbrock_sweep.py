"""The discrete adjoint of Rosenbrock steps that are taken eagerly, stage by stage.

The stages ``U_i`` of a step over ``h`` solve, with ``J`` the Jacobian at its start,

    (M / gamma - h J) U_i = f(t_i, g_i) + M sum_j c_ij U_j + h d_i f_t,  g_i = y + h sum_j a_ij U_j

Given the cotangents ``v_i`` that enter at the stages, those of the right-hand sides are

    l_i = (M / gamma - h J)^-T (v_i + M^T sum_m c_mi l_m + h sum_m a_mi J(g_m)^T l_m)  (m after i)

and ``J`` and ``f_t`` add the derivative of ``h sum_i l_i . (J U_i + d_i f_t)``: of the slopes of
``h l_i . f`` along ``(U_i, d_i)``, for all stages at once.

References
----------
A. Sandu, "On the properties of Runge-Kutta discrete adjoints", ICCS 2006.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch

from ..steps.acceptance import Step
from ..steps.rosenbrock import rosenbrock_stages
from ..steps.runge_kutta import combine
from .attempt import terms_of_step
from .evaluations import Evaluation
from .implicit_steps import frozen_jacobian, implicit_pair
from .linear import Factors
from .mass import mass_times, step_matrix
from .recorded_step import Sources
from .stage_sweep import StageSweep
from .state import Tensors
from .stepping import Clip, clipper


class Again(NamedTuple):
    """A recorded step that was taken again: its factors, stages, and the evaluations in them."""

    factors: Factors
    stages: torch.Tensor
    evaluations: list[Evaluation]


class RosenbrockSweep(StageSweep):
    """Of Rosenbrock steps."""

    def step_back(
        self, times: torch.Tensor, y: torch.Tensor, w: torch.Tensor, own: Sources
    ) -> torch.Tensor:
        """The cotangent of the state before a step, from that after it."""
        h, clip = times[1], clipper(self.config, times[3], times[4])
        step = self._again(times, y, clip)
        dy, entering = self._all_entering(times, y, clip, step.stages, w, own)
        by_states, by_stages = h * self.numbers(self.tab.a, y), self.numbers(self.tab.coupling, y)
        right, through = torch.zeros_like(entering), torch.zeros_like(entering)
        for i in reversed(range(self.tab.steps)):
            coupled = mass_times(self.config, right.T @ by_stages[:, i], transposed=True)
            total = torch.addmv(entering[i] + coupled, through.T, by_states[:, i]).view(y.shape)
            solved = self.config.system.solve(step.factors, total, transposed=True)
            dstate = step.evaluations[i].pull(self.field.leaves, solved, self.dparams)
            right[i], through[i] = solved.reshape(-1), dstate.reshape(-1)
        dy = dy + through.sum(dim=0).view(y.shape)
        bent = self._bent(times[0], y, clip, step.stages, h * right.view(step.stages.shape))
        for more in (bent, own.y):
            dy = dy if more is None else dy + more
        return dy

    def _again(self, times: torch.Tensor, y: torch.Tensor, clip: Clip) -> Again:
        """The recorded step, but for its end."""
        config, system = self.config, self.config.system
        both = (self.ops.params, self.ops.constants)
        t, h, *_ = times
        formed = frozen_jacobian(config, clip(t), y, self.ops)
        factors = system.factorize(step_matrix(config, formed.matrix, h))

        def rhs(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.field(clip(t), y, both)

        def slope(t: torch.Tensor) -> torch.Tensor:
            return config.rhs(clip(t), y, both)

        in_time = config.derivatives.jvp(slope, t, torch.ones_like(t))
        solve, mass = partial(system.solve, factors), partial(mass_times, config)
        stages = rosenbrock_stages(rhs, self.tab, t, y, h, rhs(t, y), in_time, solve, mass)
        return Again(factors, torch.stack(stages), self.field.noted())

    def _all_entering(
        self,
        times: torch.Tensor,
        y: torch.Tensor,
        clip: Clip,
        stages: torch.Tensor,
        w: torch.Tensor,
        own: Sources,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cotangents of the state and, flat, of the stages, by what reads them."""
        dy, entering = w, self.entering(times[1], w, own)
        if own.terms is not None:
            added, of_stages = self._through_terms(times, y, clip, stages, own.terms)
            dy, entering = dy + added, entering + of_stages.view_as(entering)
        return dy, entering

    def _through_terms(
        self,
        times: torch.Tensor,
        y: torch.Tensor,
        clip: Clip,
        stages: torch.Tensor,
        dterms: torch.Tensor,
    ) -> Tensors:
        """Cotangents of the state and of the stages by the regularisers' terms."""
        config, (_, h, t1, *_) = self.config, times

        def terms(y: torch.Tensor, stages: torch.Tensor, params: Tensors) -> torch.Tensor:
            def slope(y: torch.Tensor) -> torch.Tensor:
                return config.rhs(clip(t1), y, (params, self.ops.constants))

            each = list(stages)
            y1 = y + h * combine(self.tab.b, each)
            pair = implicit_pair(config, slope, each, y1, h)
            return terms_of_step(config, Step(y1, each, slope(y1), pair), y, h, self.ops)

        _, pull = config.derivatives.vjp(terms, y, stages, self.ops.params)
        dy, dstages, added = pull(dterms)
        for total, term in zip(self.dparams, added, strict=True):
            total.add_(term)
        return dy, dstages

    def _bent(
        self,
        t: torch.Tensor,
        y: torch.Tensor,
        clip: Clip,
        stages: torch.Tensor,
        cotangents: torch.Tensor,
    ) -> torch.Tensor | None:
        """What the Jacobian and the slope by time add; `cotangents` are ``h l_i``."""
        leaves, count = self.field.leaves, len(stages)
        with torch.enable_grad():
            at, states = (
                x.detach().expand(count, *x.shape).clone().requires_grad_() for x in (t, y)
            )

            def slope(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
                return self.config.rhs(clip(t), y, (leaves, self.ops.constants))

            slopes = self.config.derivatives.rows(slope, at, states)
            if not slopes.requires_grad:
                return None
            found = torch.autograd.grad(
                slopes, (states, at), cotangents, create_graph=True, allow_unused=True
            )
        in_time = self.numbers(self.tab.time_weights, y)
        bends = zip(found, (stages, in_time), strict=True)
        bends = [(x, along) for x, along in bends if x is not None and x.requires_grad]
        if not bends:
            return None
        outputs, along = map(list, zip(*bends, strict=True))
        dstates, *added = torch.autograd.grad(
            outputs, (states, *leaves), along, retain_graph=True, allow_unused=True
        )
        for total, term in zip(self.dparams, added, strict=True):
            if term is not None:
                total.add_(term)
        return None if dstates is None else dstates.sum(dim=0)
