"""``StageSweep``: what the discrete adjoints of implicit steps, stage by stage, have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch

from .evaluations import EvaluatedField
from .explicit_stages import on_device
from .recorded_step import Sources, Swept
from .state import Config, Operands, Tensors


class StageSweep(ABC):
    """Steps that are swept back one after the other; ``dparams`` are added to."""

    def __init__(self, config: Config, ops: Operands, dparams: Tensors) -> None:
        self.config, self.tab, self.ops = config, config.tableau, ops
        self.field, self.dparams = EvaluatedField(config.rhs, ops.params), dparams

    @classmethod
    def over_rows(
        cls,
        config: Config,
        times: torch.Tensor,
        y: torch.Tensor,
        ops: Operands,
        swept: Swept,
        sources: Sources,
    ) -> Swept:
        """Sweep over some rows.

        Parameters
        ----------
        config, times, y, ops, swept, sources
        """
        sweep, w = cls(config, ops, swept.dparams), swept.dy0
        for row in reversed(range(len(y))):
            own = Sources(*(None if x is None else x[row] for x in sources))
            w = sweep.step_back(times[row], y[row], w, own)
        return swept._replace(dy0=w)

    @abstractmethod
    def step_back(
        self, times: torch.Tensor, y: torch.Tensor, w: torch.Tensor, own: Sources
    ) -> torch.Tensor:
        """The cotangent of the state before a step, from that after it."""

    def entering(self, h: torch.Tensor, w: torch.Tensor, own: Sources) -> torch.Tensor:
        """Cotangents of the stages, flat, by the new state and by dense output."""
        weights = h * self.numbers(self.tab.b[: self.tab.steps], w)
        entering = torch.outer(weights, w.reshape(-1))
        if own.coefficients is None:
            return entering
        dense = self.numbers(self.tab.dense, w)
        return entering + dense @ own.coefficients.reshape(len(own.coefficients), -1)

    @staticmethod
    def numbers(coefficients: np.ndarray | None, like: torch.Tensor) -> torch.Tensor:
        """Coefficients of the method as a tensor."""
        assert coefficients is not None
        return on_device(coefficients.tobytes(), like).view(coefficients.shape)
