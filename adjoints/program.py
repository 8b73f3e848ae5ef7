"""``Program``: what a backend makes of a problem and checked settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .methods import Method
from .regularizers.regularizer import Regularizer
from .result import GradientResult


@dataclass(frozen=True)
class Settings:
    """The checked arguments of one gradient computation, defaults filled in."""

    method: Method
    solver: str
    rtol: float | np.ndarray
    atol: float | np.ndarray
    device: str
    regularizer: Regularizer | None
    coefficient: tuple[float, ...]
    adjoint_solver: str
    adjoint_rtol: float | np.ndarray
    adjoint_atol: float | np.ndarray
    checkpoints: int | None
    differentiate_step_size: bool
    first_step: float | None
    max_steps: int
    compile: bool


class Program(Protocol):
    """What a backend makes of a problem and settings; compiled once, called often."""

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`, arrays of the problem's shapes and dtype."""
        ...

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone, same solver and settings; NaN where the solve broke down."""
        ...

    @property
    def compiled(self) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
        """The bare call on backend arrays: ``(params, y0) -> (loss, dparams, dy0)``."""
        ...

    @property
    def compiled_primal(self) -> Callable[[Any, Any], Any]:
        """The bare loss on backend arrays: ``(params, y0) -> loss``."""
        ...
