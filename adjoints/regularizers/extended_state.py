"""A gradient whose problem carries one more component than the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import is_jax_array

from ..result import GradientResult
from .regularized import extended

if TYPE_CHECKING:
    from ..program import Program


class ExtendedProgram:
    """`program` for start values without the last component, which begins at zero.

    Parameters
    ----------
    program : Program
        Of a problem that a penalty is integrated along with.
    """

    def __init__(self, program: Program) -> None:
        self.inner = program

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        found = self.inner.gradient(params, extended(y0))
        return replace(found, dy0=found.dy0[..., :-1])

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        return self.inner.primal(params, extended(y0))

    @property
    def compiled(self) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
        """``(params, y0) -> (loss, dparams, dy0)`` on arrays of the backend."""
        inner = self.inner.compiled

        def call(params: Any, y0: Any) -> tuple[Any, Any, Any]:
            with _own_precision(y0):
                loss, dparams, dy0 = inner(params, extended(y0))
                return loss, dparams, dy0[..., :-1]

        return call

    @property
    def compiled_primal(self) -> Callable[[Any, Any], Any]:
        """``(params, y0) -> loss`` on arrays of the backend."""
        inner = self.inner.compiled_primal

        def call(params: Any, y0: Any) -> Any:
            with _own_precision(y0):
                return inner(params, extended(y0))

        return call


def _own_precision(y0: Any) -> AbstractContextManager[Any]:
    """Lets JAX work on float64 arrays whatever the host's setting is."""
    if not is_jax_array(y0):
        return nullcontext()
    import jax

    return jax.enable_x64(y0.dtype == np.float64)
