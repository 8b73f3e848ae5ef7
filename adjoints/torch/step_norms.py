"""The norms by which an explicit step is judged, fetched together and finished on the host."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch

from ..steps.acceptance import Step
from ..steps.runge_kutta import (
    counted,
    error_of_squares,
    error_scale,
    error_slopes,
    ratio_of_norms,
)
from .state import Config, Operands, Tensors


class Judgement(NamedTuple):
    """The norm that decides, and the regularisers' terms where they are wanted."""

    error: Any
    terms: tuple[Any, Any, Any] | None


def judgement_of(config: Config, step: Step, y: torch.Tensor, h: Any, ops: Operands) -> Judgement:
    """What :func:`~adjointbench.adjoints.steps.acceptance.control_error` and ``step_terms`` find.

    Parameters
    ----------
    config, step, y, ops
    h : numpy.floating
        The step size.
    """
    squares = _squares(config, step, y, ops)
    found = torch.stack([x for group in squares.values() for x in group]).tolist()
    numbers = iter(map(h.dtype.type, found))
    known = {name: tuple(next(numbers) for _ in group) for name, group in squares.items()}
    error = error_of_squares(known["scaled"], h) if config.controlled else known["zero"][0]
    return Judgement(error, _terms(config, known, h) if config.terms else None)


def _terms(config: Config, known: dict[str, Any], h: Any) -> tuple[Any, Any, Any]:
    size, error, squared, stiff = abs(h), math.nan, math.nan, math.nan
    if config.tableau.adaptive:
        norm = error_of_squares(known[config.error_norm], h)
        error, squared = norm * size, norm * norm
    if "pair" in known:
        stiff = ratio_of_norms(*map(np.sqrt, known["pair"])) * size
    return error, squared, stiff


def _squares(config: Config, step: Step, y: torch.Tensor, ops: Operands) -> dict[str, Tensors]:
    """Squares of norms by what they are of, and zero, or NaN where the new state is not finite."""
    found: dict[str, Tensors] = {}
    scaled = config.controlled or (config.terms and config.error_norm == "scaled")
    if config.tableau.adaptive and (scaled or config.terms):
        errors = error_slopes(config.tableau, step.stages)
        if config.terms and config.error_norm == "absolute":
            found["absolute"] = tuple(map(_square, errors))
        if scaled:
            scale = error_scale(y, step.y1, ops.rtol, ops.atol)
            parts = (mean_square(error / scale, config.components) for error in errors)
            found["scaled"] = tuple(parts)
    if step.pair is not None:
        found["pair"] = tuple(map(_square, step.pair))
    if not config.controlled:
        found["zero"] = ((0.0 * step.y1).sum(),)
    return found


def mean_square(x: torch.Tensor, components: int | None) -> torch.Tensor:
    """The mean of the squares, or of those of the first components of a flat state."""
    part = counted(x, components)
    return _square(part) / max(1, part.numel())


def _square(x: torch.Tensor) -> torch.Tensor:
    """The square of the Euclidean norm."""
    flat = x.reshape(-1)
    return torch.dot(flat, flat)
