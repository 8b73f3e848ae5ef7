"""How far two gradients are apart, on NumPy, JAX and PyTorch alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from array_api_compat import array_namespace

Array = Any


def relative_distance(
    value: Sequence[Array], reference: Sequence[Array], scale: Sequence[Array] | None = None
) -> Array:
    """``‖s∘(value - reference)‖₂ / ‖s∘reference‖₂``; absolute where the reference is zero.

    Parameters
    ----------
    value, reference : sequence of array
        Of the same shapes.
    scale : sequence of array, optional
        ``s``; one by default.
    """
    xp = array_namespace(*reference)
    weights = [1.0] * len(reference) if scale is None else scale
    apart = _norm([s * (a - b) for s, a, b in zip(weights, value, reference, strict=True)])
    size = _norm([s * b for s, b in zip(weights, reference, strict=True)])
    return apart / xp.where(size > 0, size, xp.ones_like(size))


def log_parameter_scale(params: Sequence[Array], gradient: Sequence[Array]) -> list[Array]:
    """The parameters, or ones where every ``p∘g`` is zero: the scale of log-parameters."""
    xp = array_namespace(*gradient)
    scaled = _norm([p * g for p, g in zip(params, gradient, strict=True)]) > 0
    return [xp.where(scaled, p, xp.ones_like(p)) for p in params]


def _norm(arrays: Sequence[Array]) -> Array:
    """The 2-norm of all entries, whose squares may overflow."""
    xp = array_namespace(*arrays)
    flat = xp.concat([xp.reshape(array, (-1,)) for array in arrays])
    if flat.shape[0] == 0:
        return xp.sum(flat)
    largest = xp.max(xp.abs(flat))
    unit = xp.where(largest > 0, largest, xp.ones_like(largest))
    return unit * xp.sqrt(xp.sum((flat / unit) ** 2))
