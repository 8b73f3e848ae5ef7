"""A loss of parameters and start value, differentiated by PyTorch's autograd on one device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ...problems import Problem
from .device import find_device, numpy_named, put, put_named

Named = Mapping[str, torch.Tensor]


class AutogradLoss:
    """A loss and its gradient with respect to parameters and start value.

    Parameters
    ----------
    loss : callable
        ``loss(params, y0, constants) -> (loss, report)`` on tensors; ``report`` is anything that
        is not differentiated.
    problem : Problem
        Gives the constants.
    device : str
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...
    """

    def __init__(
        self,
        loss: Callable[[Named, torch.Tensor, Named], tuple[torch.Tensor, Any]],
        problem: Problem,
        device: str,
    ) -> None:
        self._loss = loss
        self.device = find_device(device)
        self._constants = put_named(problem.constants, self.device)

    def gradient(
        self, params: Mapping[str, np.ndarray], y0: np.ndarray
    ) -> tuple[float, Any, tuple[dict[str, np.ndarray], np.ndarray]]:
        """``(loss, report, (dparams, dy0))``, all NumPy."""
        tensors = put_named(params, self.device), put(y0, self.device)
        loss, report, dparams, dy0 = self.differentiate(*tensors, self._constants)
        return float(loss), report, (numpy_named(dparams), dy0.cpu().numpy())

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> tuple[float, Any]:
        """``(loss, report)`` without a gradient."""
        with torch.no_grad():
            tensors = put_named(params, self.device), put(y0, self.device)
            loss, report = self._loss(*tensors, self._constants)
        return float(loss), report

    def bare(
        self, params: Named, y0: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """``(params, y0) -> (loss, dparams, dy0)`` on tensors."""
        loss, _, dparams, dy0 = self.differentiate(params, y0, self._constants)
        return loss, dparams, dy0

    def bare_primal(self, params: Named, y0: torch.Tensor) -> torch.Tensor:
        """``(params, y0) -> loss`` on tensors."""
        with torch.no_grad():
            return self._loss(params, y0, self._constants)[0]

    def differentiate(
        self, params: Named, y0: torch.Tensor, constants: Named
    ) -> tuple[torch.Tensor, Any, dict[str, torch.Tensor], torch.Tensor]:
        """``(loss, report, dparams, dy0)`` on tensors, with these constants."""
        leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
        start = y0.detach().requires_grad_()
        loss, report = self._loss(leaves, start, constants)
        wanted = (*leaves.values(), start)
        *dparams, dy0 = torch.autograd.grad(loss, wanted, materialize_grads=True)
        return loss.detach(), report, dict(zip(leaves, dparams, strict=True)), dy0
