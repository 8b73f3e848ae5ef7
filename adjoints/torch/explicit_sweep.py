"""The discrete adjoint of explicit steps that are taken eagerly, stage by stage.

Of a step with the slopes ``k_i = f(t_i, y + h sum_j a_ij k_j)`` to ``y1 = y + h sum_i b_i k_i``,
the cotangent ``w`` of ``y1`` is carried back by

    u_i = h b_i w + h sum_{j > i} a_ji v_j,    v_i = u_i df/dy,    dparams += u_i df/dparams

to ``w + sum_i v_i`` at the start. The slope at the start of a step is that at the end of the one
before, where what reads it there is added: it is pulled back once for both.

References
----------
A. Sandu, "On the properties of Runge-Kutta discrete adjoints", ICCS 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from ..steps.acceptance import Step
from ..steps.runge_kutta import stiffness_pair
from ..steps.tableau import Tableau
from .attempt import terms_of_step
from .evaluations import EvaluatedField, Evaluation
from .explicit_stages import Stages, on_device, scaled, stages_of
from .recorded_step import Sources, Swept
from .state import Config, Operands, Row, Tensors
from .stepping import clipper, dense_of_step


class Evaluations(NamedTuple):
    """Those of one step: at its start, at the other stages of the new state, and at its end.

    ``end`` is ``None`` where nothing reads the slope there; ``more`` are those of the stages that
    only dense output has.
    """

    start: Evaluation
    stages: Sequence[Evaluation]
    end: Evaluation | None
    more: Sequence[Evaluation] = ()


def sweep_explicit(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    ops: Operands,
    swept: Swept,
    sources: Sources,
) -> Swept:
    """Sweep over the rows of one segment.

    Parameters
    ----------
    config, times, y, ops, swept, sources
    """
    sweep = _Sweep(config, ops, swept.dparams)
    w, dslope, following = swept.dy0, None, None
    for row in reversed(range(len(y))):
        own = Sources(*(None if x is None else x[row] for x in sources))
        found = sweep.again(times[row], y[row], following, own)
        w, dslope = sweep.step_back(times[row], y[row], found, (w, dslope), own)
        following = found.start
    assert following is not None
    assert dslope is not None
    return swept._replace(dy0=w + sweep.pulled(following, dslope))


class _Sweep:
    """What all steps of a sweep have in common."""

    def __init__(self, config: Config, ops: Operands, dparams: Tensors) -> None:
        self.field = EvaluatedField(config.rhs, ops.params)
        self.config = replace(config, rhs=self.field)
        self.tab, self.ops, self.dparams = config.tableau, ops, dparams

    def evaluated(self, t: torch.Tensor, times: torch.Tensor, y: torch.Tensor) -> Evaluation:
        """The slope at a time within the step of `times`."""
        clip = clipper(self.config, times[3], times[4])
        return self.field.evaluated(clip(t), y, self.ops.constants)

    def again(
        self, times: torch.Tensor, y: torch.Tensor, following: Evaluation | None, own: Sources
    ) -> Evaluations:
        """The evaluations of a recorded step, and that at its end if need be."""
        y1, stages = stages_of(self.config, times, y, None, self.ops)
        start, *inner = self.field.noted()
        end, more = following, ()
        if own.coefficients is not None or own.terms is not None:
            end = following or self.evaluated(times[2], times, y1)
            stages.append(end.slope.detach())
        if own.coefficients is not None and self.tab.stages > self.tab.steps + 1:
            step = Step(y1, list(stages), stages[-1], None)
            dense_of_step(self.config, Row(times, y), step, self.ops)
            more = self.field.noted()
        return Evaluations(start, inner, end, more)

    def step_back(
        self,
        times: torch.Tensor,
        y: torch.Tensor,
        found: Evaluations,
        after: tuple[torch.Tensor, torch.Tensor | None],
        own: Sources,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The cotangents of a step's first state and slope, from those of its last ones."""
        w, dslope = after
        h, last = times[1], self.tab.steps
        dy, w, own_of = self._entering(times, y, found, w, own)
        if own_of is not None:
            for number, evaluation in reversed(list(enumerate(found.more, last + 1))):
                v = self.pulled(evaluation, own_of[number])
                weights = h * on_device(self.tab.a[number, :number].tobytes(), h)
                own_of.view(len(own_of), -1)[:number].addr_(weights, v.reshape(-1))
                dy = v if dy is None else dy + v
            dslope = own_of[last] if dslope is None else dslope + own_of[last]
        if dslope is not None:
            assert found.end is not None
            w = w + self.pulled(found.end, dslope)
        back, weights = Stages(last, w), scaled(self.config.solver, backward_weights, h)
        back.append(w)
        for number in range(last - 1, 0, -1):
            entering = None if own_of is None else own_of[number]
            u = back.sum(weights[last - 1 - number], entering)
            back.append(self.pulled(found.stages[number - 1], u))
        dslope = back.sum(weights[-1], None if own_of is None else own_of[0])
        before = back.rows.sum(dim=0)
        for more in (dy, own.y):
            before = before if more is None else before + more
        return before, dslope

    def pulled(self, evaluation: Evaluation, cotangent: torch.Tensor) -> torch.Tensor:
        """The cotangent of the state of an evaluation; those of the parameters are added."""
        return evaluation.pull(self.field.leaves, cotangent, self.dparams)

    def _entering(
        self,
        times: torch.Tensor,
        y: torch.Tensor,
        found: Evaluations,
        w: torch.Tensor,
        own: Sources,
    ) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor | None]:
        """Cotangents of the first state, of the new one, and of all stages, of what reads them."""
        dy, dstages = None, None
        if own.coefficients is not None:
            dense = on_device(self.tab.dense.tobytes(), w).view(self.tab.dense.shape)
            flat = own.coefficients.reshape(len(own.coefficients), -1)
            dstages = (dense @ flat).view(len(dense), *w.shape)
        if own.terms is None:
            return dy, w, dstages
        of_terms = self._through_terms(times, y, found, own.terms)
        if of_terms is not None:
            dy, dy1, added = of_terms
            w = w + dy1
            if dstages is None:
                dstages = added
            else:
                dstages[: len(added)] += added
        return dy, w, dstages

    def _through_terms(
        self, times: torch.Tensor, y: torch.Tensor, found: Evaluations, dterms: torch.Tensor
    ) -> Tensors | None:
        """Cotangents of both states and of the stages by the regularisers' terms."""
        assert found.end is not None
        slopes = (found.start, *found.stages, found.end)
        rows = torch.stack([evaluation.slope.detach() for evaluation in slopes])
        with torch.enable_grad():
            leaves = tuple(x.detach().requires_grad_() for x in (y, found.end.y, rows))
            stages = Stages.of(leaves[2])
            pair = stiffness_pair(self.tab, stages, leaves[0], leaves[1], times[1])
            step = Step(leaves[1], stages, stages[-1], pair)
            terms = terms_of_step(self.config, step, leaves[0], times[1], self.ops)
        if not terms.requires_grad:
            return None
        return torch.autograd.grad(terms, leaves, dterms, materialize_grads=True)


def backward_weights(tab: Tableau) -> list[np.ndarray]:
    """How the cotangents of the new state and of later stages' states lead to each stage."""
    last = tab.steps - 1
    return [np.array([tab.b[i], *tab.a[last:i:-1, i]]) for i in range(last, -1, -1)]
