"""Evaluations of a right-hand side that cotangents can be pulled back through, one by one.

Each is a small graph of autograd's of its own, from a leaf to the slope there: the arithmetic of a
step, which is linear in its slopes, needs none.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..steps.runge_kutta import Rhs
from .state import Tensors


class Evaluation(NamedTuple):
    """A slope, on the graph that leads to it from the state `y`, a leaf."""

    y: torch.Tensor
    slope: torch.Tensor

    def pull(self, leaves: Tensors, cotangent: torch.Tensor, dparams: Tensors) -> torch.Tensor:
        """The cotangent of the state; those of `leaves`, the parameters, are added to `dparams`."""
        if not self.slope.requires_grad:
            return torch.zeros_like(self.y)
        # A right-hand side may remember what it made of its weights: all evaluations share that.
        dy, *added = torch.autograd.grad(
            self.slope, (self.y, *leaves), cotangent, retain_graph=True, allow_unused=True
        )
        for total, term in zip(dparams, added, strict=True):
            if term is not None:
                total.add_(term)
        return torch.zeros_like(self.y) if dy is None else dy


class EvaluatedField:
    """A right-hand side each of whose evaluations is noted down, with its graph.

    Attributes
    ----------
    leaves : tuple of tensor
        The parameters to differentiate by: the caller's own where they are leaves, so that a
        module sees that they are its own.
    """

    def __init__(self, rhs: Rhs, params: Tensors) -> None:
        self._rhs = rhs
        self.leaves = tuple(
            p if p.is_leaf and p.requires_grad else p.detach().requires_grad_() for p in params
        )
        self._noted: list[Evaluation] = []

    def __call__(
        self, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """``dy/dt``, on no graph."""
        self._noted.append(self.evaluated(t, y, params[1]))
        return self._noted[-1].slope.detach()

    def evaluated(self, t: torch.Tensor, y: torch.Tensor, constants: Tensors) -> Evaluation:
        """An evaluation that is not noted down."""
        with torch.enable_grad():
            leaf = y.detach().requires_grad_()
            return Evaluation(leaf, self._rhs(t, leaf, (self.leaves, constants)))

    def noted(self) -> list[Evaluation]:
        """The evaluations since this was asked last."""
        found, self._noted = self._noted, []
        return found
