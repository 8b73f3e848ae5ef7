"""A gradient whose problem carries one more component than the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from array_api_compat import is_jax_array

from ..program import Array, BareGradient, BareLoss, Named, Program, TrainingGradient
from ..result import GradientResult
from .regularized import extended


class ExtendedProgram:
    """`program` for start values without the last component, which begins at zero.

    Parameters
    ----------
    program : Program
        Of a problem that a penalty is integrated along with.
    """

    def __init__(self, program: Program) -> None:
        self._program = program

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        return _own(self._program.gradient(params, extended(y0)))

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        return self._program.primal(params, extended(y0))

    @property
    def compiled(self) -> BareGradient:
        """``(params, y0) -> (loss, dparams, dy0)`` on arrays of the backend."""
        program = self._program.compiled

        def call(params: Named, y0: Array) -> tuple[Array, Named, Array]:
            with _own_precision(y0):
                loss, dparams, dy0 = program(params, extended(y0))
                return loss, dparams, dy0[..., :-1]

        return call

    @property
    def compiled_primal(self) -> BareLoss:
        """``(params, y0) -> loss`` on arrays of the backend."""
        program = self._program.compiled_primal

        def call(params: Named, y0: Array) -> Array:
            with _own_precision(y0):
                return program(params, extended(y0))

        return call

    def training_gradient(
        self, params: Named, y0: Array, constants: Named, coefficients: Sequence[float] | Array
    ) -> TrainingGradient:
        """Loss and gradient inside a training."""
        found = self._program.training_gradient(params, extended(y0), constants, coefficients)
        return found._replace(dy0=found.dy0[..., :-1])


def _own(found: GradientResult) -> GradientResult:
    """The result without the last component, that of a refined gradient too."""
    error, refined = found.gradient_error, found.refined
    return replace(
        found,
        dy0=found.dy0[..., :-1],
        gradient_error=None if error is None else replace(error, by_y0=error.by_y0[..., :-1]),
        refined=None if refined is None else _own(refined),
    )


def _own_precision(y0: Any) -> AbstractContextManager[Any]:
    """Lets JAX work on float64 arrays whatever the host's setting is."""
    if not is_jax_array(y0):
        return nullcontext()
    import jax

    return jax.enable_x64(y0.dtype == np.float64)
