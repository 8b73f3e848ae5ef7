"""A program whose gradients come with an estimate of their error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..program import (
    Array,
    BareGradient,
    BareLoss,
    Named,
    Program,
    Refinable,
    TrainingGradient,
)
from ..result import GradientResult
from .estimate import compared

Params = Mapping[str, np.ndarray]

Estimator = Callable[[Params, np.ndarray], GradientResult]


class ErrorBarProgram:
    """`program`, whose :meth:`gradient` is that of an `estimator`.

    Parameters
    ----------
    program : Program
    estimator : callable
        ``estimator(params, y0)``: the gradient with its estimated error.
    """

    def __init__(self, program: Program, estimator: Estimator) -> None:
        self._program = program
        self._estimator = estimator

    def gradient(self, params: Params, y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`, with their estimated errors."""
        return self._estimator(params, y0)

    def primal(self, params: Params, y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        return self._program.primal(params, y0)

    @property
    def compiled(self) -> BareGradient:
        """The bare call of the program, with the work of the estimate where it is part of it."""
        return self._program.compiled

    @property
    def compiled_primal(self) -> BareLoss:
        """The bare loss on backend arrays."""
        return self._program.compiled_primal

    def training_gradient(
        self, params: Named, y0: Array, constants: Named, coefficients: Sequence[float] | Array
    ) -> TrainingGradient:
        """Loss and gradient inside a training, without an estimate."""
        return self._program.training_gradient(params, y0, constants, coefficients)


def by_steps_again(program: Refinable, compare: Callable[..., GradientResult]) -> Estimator:
    """Compares with the gradient of the same steps, cut (`compared`) or joined (`flagged`)."""
    gain = 2.0**program.order

    def gradient(params: Params, y0: np.ndarray) -> GradientResult:
        first, second = program.with_second(params, y0)
        return compare(first, second, params, gain=gain, how=program.how_second)

    return gradient


def by_second_method(program: Program, second: Estimator, how: str) -> Estimator:
    """Compares with a gradient that comes from elsewhere, with an estimate of its own or none."""

    def gradient(params: Params, y0: np.ndarray) -> GradientResult:
        coarse = program.gradient(params, y0)
        if coarse.status != "ok":
            return coarse
        fine = second(params, y0)
        return compared(coarse, fine.refined or fine, params, gain=float("inf"), how=how)

    return gradient
