"""What the steps of implicit solvers share: their Jacobian, how it fails, their stiffness."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..steps.acceptance import CODES, RUNNING
from ..steps.runge_kutta import combine
from .linear import Factors
from .state import Config, Operands
from .systems.system import Formed

Slope = Callable[[torch.Tensor], torch.Tensor]


def frozen_jacobian(config: Config, t: torch.Tensor, y: torch.Tensor, ops: Operands) -> Formed:
    """The Jacobian that the linear systems are made of; it carries no derivative."""
    t, y = t.detach(), y.detach()
    params = (tuple(p.detach() for p in ops.params), ops.constants)
    if config.jacobian is not None:
        return config.system.of_matrix(config.jacobian(t, y, params))
    return config.system.jacobian(config.derivatives, lambda y: config.rhs(t, y, params), y)


def failure_of(formed: Formed, factors: Factors) -> torch.Tensor:
    """The status code of a step: ``RUNNING`` unless its matrix is singular, or lacks entries."""
    code = torch.full_like(factors.info, RUNNING, dtype=torch.int64)
    unfit = factors.info != 0
    if formed.is_whole is not None:
        unfit = unfit | ~formed.is_whole
    return torch.where(unfit, CODES["linear_solve"], code)


def implicit_pair(
    config: Config, slope: Slope, stages: list[torch.Tensor], y1: torch.Tensor, h: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The two differences of Shampine's stiffness estimate, where it is wanted.

    Parameters
    ----------
    config : Config
    slope : callable
        The right-hand side at the end of the step, as a function of the state.
    stages, y1, h
        Of the step.
    """
    tab = config.tableau
    if not (config.terms and config.estimates_stiffness):
        return None
    assert tab.stiffness_stages is not None
    apart = h * combine(tab.b - tab.a[tab.stiffness_stages[0]], stages)
    return config.derivatives.jvp(slope, y1, apart), apart
