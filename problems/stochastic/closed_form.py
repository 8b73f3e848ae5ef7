"""The loss that the stochastic problems share, and pathwise gradients by the chain rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .problem import PathwiseGradient, SampledPath


def half_mean_square(ys: Any, p: Mapping[str, Any]) -> Any:
    """L = mean(y²) / 2 over saves, paths and components."""
    xp = array_namespace(ys)
    return xp.mean(ys**2) / 2


def pathwise_gradient(
    ys: np.ndarray, by_params: Mapping[str, np.ndarray], by_y0: np.ndarray, like: Mapping[str, Any]
) -> PathwiseGradient:
    """The loss and its gradient, where each number of the state depends on one path alone.

    Parameters
    ----------
    ys : ndarray of shape (saves, *y0.shape)
    by_params : mapping of str to ndarray
        The derivatives of `ys` by the parameters that act on each, in the shape of `ys`.
    by_y0 : ndarray
        Likewise, by its own start value.
    like : mapping of str to ndarray
        The parameters, which broadcast to the state; gradients have their shapes.
    """
    slopes = ys / ys.size
    return PathwiseGradient(
        ys=ys,
        loss=float(np.mean(ys**2) / 2),
        dparams={k: _summed_to(slopes * by, np.shape(like[k])) for k, by in by_params.items()},
        dy0=np.sum(slopes * by_y0, axis=0),
    )


def _summed_to(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The transpose of broadcasting from `shape`."""
    values = np.sum(values, axis=tuple(range(values.ndim - len(shape))))
    stretched = tuple(i for i, size in enumerate(shape) if size != values.shape[i])
    return np.asarray(np.sum(values, axis=stretched, keepdims=True))


def grid_indices(path: SampledPath, save_at: np.ndarray) -> np.ndarray:
    """Where the save times stand on the grid of a path.

    Raises
    ------
    ValueError
        Where one is not on it.
    """
    found = np.searchsorted(path.times, save_at)
    at = path.times[np.minimum(found, len(path.times) - 1)]
    if not np.array_equal(at, save_at):
        missing = save_at[at != save_at]
        raise ValueError(f"path.times lacks the save times {missing.tolist()}; add them")
    return found
