"""What ordinary and stochastic problems have in common: a start value, named arrays, one dtype."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import validation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

#: An array of whatever framework runs the problem: NumPy, JAX or PyTorch.
Array = Any
#: ``loss(ys, p)``.
Loss = Callable[[Array, Mapping[str, Array]], Array]

_Self = TypeVar("_Self", bound="InitialValue")


@dataclass(frozen=True, eq=False, repr=False, init=False)
class InitialValue:
    """A start value, the arrays that the equations get by name, and when which loss sees states.

    Attributes
    ----------
    name : str
    y0 : ndarray
    params : dict of str to ndarray
        What the gradient is taken to.
    constants : dict of str to ndarray
    t_span : (float, float)
    save_at : ndarray
    loss : callable
    """

    name: str
    y0: np.ndarray
    params: dict[str, np.ndarray]
    constants: dict[str, np.ndarray]
    t_span: tuple[float, float]
    save_at: np.ndarray
    loss: Loss

    @property
    def dtype(self) -> np.dtype:
        """The one floating dtype of the problem, float32 or float64."""
        return self.y0.dtype

    @property
    def n_states(self) -> int:
        """Number of components of the state, all axes together."""
        return self.y0.size

    @property
    def n_params(self) -> int:
        """Number of parameters, all arrays together."""
        return sum(value.size for value in self.params.values())

    def merged(self, params: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """`params` (the problem's own by default) and the constants in one dict: the ``p``."""
        return {**(self.params if params is None else params), **self.constants}

    def with_dtype(self: _Self, dtype: DTypeLike) -> _Self:
        """The same problem in float32 or float64."""
        new = validation.checked_dtype(dtype)

        def cast(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {k: v.astype(new) if v.dtype.kind == "f" else v for k, v in arrays.items()}

        return dataclasses.replace(
            self,
            y0=self.y0.astype(new),
            params=cast(self.params),
            constants=cast(self.constants),
        )

    def _set_values(
        self,
        name: str,
        y0: ArrayLike,
        params: Mapping[str, ArrayLike],
        constants: Mapping[str, ArrayLike] | None,
        t_span: Sequence[float],
        save_at: ArrayLike | None,
    ) -> None:
        """Check and set what is no function; ValueErrors name the argument."""
        validation.check_text("name", name)
        start, named, data = validation.checked_arrays(
            y0, params, {} if constants is None else constants
        )
        span = validation.checked_span(t_span, start.dtype)
        saves = span[1:] if save_at is None else save_at
        self._set(
            name=name,
            y0=start,
            params=named,
            constants=data,
            t_span=span,
            save_at=validation.checked_save_at(saves, span, start.dtype),
        )

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)
