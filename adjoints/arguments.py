"""Numbers and arrays that a user gives, checked: each refusal names the argument and the value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..problems import Problem


def tolerance(argument: str, value: Any, problem: Problem) -> float | np.ndarray:
    """A positive finite tolerance: one number, or one for each component of the state."""
    array = as_real(argument, value)
    if array.ndim and array.shape != problem.y0.shape:
        raise ValueError(
            f"{argument} has shape {array.shape}; pass one number, or an array of the shape of "
            f"y0, {problem.y0.shape}"
        )
    if not (np.isfinite(array) & (array > 0)).all():
        raise ValueError(f"{argument}={value!r} must be positive and finite, for example 1e-6")
    return array if array.ndim else float(array)


def as_real(argument: str, value: Any) -> np.ndarray:
    """`value` as an array of float64."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{argument}={value!r} is not a number") from error


def number(argument: str, value: Any) -> float:
    """One finite number."""
    array = as_real(argument, value)
    if array.ndim or not math.isfinite(array):
        raise ValueError(f"{argument}={value!r} must be one finite number")
    return float(array)


def positive(argument: str, value: Any) -> float:
    """One positive finite number."""
    found = number(argument, value)
    if found <= 0:
        raise ValueError(f"{argument}={value!r} must be positive")
    return found


def positive_int(argument: str, value: Any) -> int:
    """One positive whole number."""
    found = positive(argument, value)
    if found != int(found):
        raise ValueError(f"{argument}={value!r} must be a whole number")
    return int(found)


def like(argument: str, value: Any, pattern: np.ndarray) -> np.ndarray:
    """`value` as an array like `pattern`, or a ``ValueError``."""
    array = as_real(argument, value)
    if array.shape != pattern.shape:
        raise ValueError(f"{argument} has shape {array.shape}; the problem needs {pattern.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{argument}={value!r} must be finite")
    return array.astype(pattern.dtype)
