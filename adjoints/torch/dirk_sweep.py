"""The discrete adjoint of diagonally implicit steps that are taken eagerly, stage by stage.

Of a step with the slopes ``k_i = f(t_i, g_i)`` at ``g_i = y + h sum_j a_ij k_j + gamma h k_i``, j
before i, to ``y1 = y + h sum_i b_i k_i`` the cotangent ``w`` of ``y1`` is carried back by

    u_i = h b_i w + h sum_m a_mi v_m  (m after i),    (I - gamma h J(g_i))^T l_i = u_i,
    v_i = l_i df/dy = (l_i - u_i) / (gamma h),    dparams += l_i df/dparams

to ``w + sum_i v_i``; the first stage is explicit. Where ``h J`` is large, the product would be that
of the rounding errors of ``l_i``, and the difference is right.

References
----------
A. Sandu, "On the properties of Runge-Kutta discrete adjoints", ICCS 2006.
"""

from __future__ import annotations

import torch

from .dirk import DirkStages, first_slope, prepared_stages
from .evaluations import Evaluation
from .recorded_step import Sources
from .stage_sweep import StageSweep
from .state import Config
from .stepping import clipper


def can_sweep_dirk(config: Config, sources: Sources) -> bool:
    """Whether nothing but the new state and the stages that make it are read of a step."""
    tab = config.tableau
    reads_end = sources.coefficients is not None and tab.stages > tab.steps
    return tab.kind == "dirk" and sources.terms is None and not reads_end


class DirkSweep(StageSweep):
    """Of diagonally implicit steps."""

    def step_back(
        self, times: torch.Tensor, y: torch.Tensor, w: torch.Tensor, own: Sources
    ) -> torch.Tensor:
        """The cotangent of the state before a step, from that after it."""
        config, tab, h = self.config, self.tab, times[1]
        clip = clipper(config, times[3], times[4])
        start = self.field.evaluated(clip(times[0]), y, self.ops.constants)
        made, failure = prepared_stages(config, times, y, self.ops, clip, 0)
        stages, *_ = made.all_from(first_slope(start.slope.detach(), times), failure)
        entering = self.entering(h, w, own)
        through = torch.zeros_like(entering)
        weights = h * self.numbers(tab.a[: tab.steps, : tab.steps], y)
        for i in reversed(range(tab.steps)):
            u = torch.addmv(entering[i], through.T, weights[:, i]).view(y.shape)
            if i == 0:
                through[i] = self._pulled(start, u)
                continue
            state = made.state(i, stages, stages[i])
            solved = config.system.solve(made.factors_at(i, state), u, transposed=True)
            self._pulled(self._evaluated(made, i, state), solved)
            through[i] = ((solved - u) / (tab.gamma * h)).reshape(-1)
        before = w + through.sum(dim=0).view(y.shape)
        return before if own.y is None else before + own.y

    def _pulled(self, evaluation: Evaluation, cotangent: torch.Tensor) -> torch.Tensor:
        """The cotangent of the state of an evaluation, flat; those of the parameters are added."""
        return evaluation.pull(self.field.leaves, cotangent, self.dparams).reshape(-1)

    def _evaluated(self, made: DirkStages, i: int, state: torch.Tensor) -> Evaluation:
        """The slope at a stage, on its graph."""
        with torch.enable_grad():
            leaf = state.detach().requires_grad_()
            both = (self.field.leaves, self.ops.constants)
            return Evaluation(leaf, made.slope_at(i, leaf, both))
