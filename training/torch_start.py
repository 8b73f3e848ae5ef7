"""The gradient of a training step on PyTorch, through the encoder of its start values if any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from ..adjoints.program import TrainingGradient
from .loss_gradient import LossGradient
from .start import looped

Tensors = Mapping[str, torch.Tensor]


def training_gradient(
    loss_gradient: LossGradient,
    params: Tensors,
    y0: torch.Tensor | None,
    constants: Tensors,
    coefficients: Sequence[float],
) -> TrainingGradient:
    """Loss and gradient by all weights: `y0` is not looked at where it is encoded."""
    start, run = loss_gradient.task.start, loss_gradient.training_gradient
    if start is None:
        return run(params, y0, constants, coefficients)
    own, encoder, rest = loss_gradient.parts(params, constants)
    leaves = {name: value.detach().requires_grad_() for name, value in encoder.items()}
    encoded, divergence = start(leaves, constants, looped)
    found = run(own, encoded.detach(), rest, coefficients)
    cotangents = found.dy0, torch.ones_like(divergence)
    slopes = torch.autograd.grad((encoded, divergence), list(leaves.values()), cotangents)
    return found._replace(
        loss=found.loss + divergence.detach(),
        dparams={**found.dparams, **dict(zip(leaves, slopes, strict=True))},
    )
