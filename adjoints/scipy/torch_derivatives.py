"""The derivative formulas on PyTorch, eagerly, where JAX is not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from .derivative_formulas import Formula, Framework

#: What makes a plain number of a tensor, whose derivative is then lost without a word.
_NUMBERS = frozenset(
    {
        torch.Tensor.__float__,
        torch.Tensor.__int__,
        torch.Tensor.__index__,
        torch.Tensor.__complex__,
        torch.Tensor.item,
        torch.Tensor.tolist,
    }
)


class RefusesNumbers(TorchFunctionMode):
    """A context in which no number is made of a tensor that is to be differentiated."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _NUMBERS and args[0].requires_grad:
            raise TypeError(
                "it makes a plain number of a tensor (math.sin, float, item, ...), which has no "
                "derivative"
            )
        return func(*args, **(kwargs or {}))


def _concat(parts: Any, axis: int = 0) -> torch.Tensor:
    return torch.cat(list(parts), dim=axis)


class TorchBackend:
    """Runs the derivative formulas on PyTorch's CPU tensors in float64."""

    name = "torch"
    # Reverse mode throughout: PyTorch has no forward mode for some operations, and imports its
    # deprecated TorchScript for the others.
    framework = Framework(
        vjp=torch.func.vjp,
        jacfwd=torch.func.jacrev,
        jacrev=torch.func.jacrev,
        second=torch.func.jacrev,
        concat=_concat,
    )

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Nothing needs to be set."""
        yield

    def compile(
        self, formula: Formula, size: int, m: int, constants: Mapping[str, np.ndarray]
    ) -> Callable[[np.ndarray, Any], np.ndarray]:
        """`formula` on NumPy vectors; nothing is compiled."""
        given = {name: self.put(value) for name, value in constants.items()}

        def call(z: np.ndarray, theta: torch.Tensor) -> np.ndarray:
            return formula(torch.from_numpy(z), theta, given).detach().numpy()

        return call

    def put(self, theta: np.ndarray) -> torch.Tensor:
        """A tensor of its own memory, so that read-only arrays are fine too."""
        return torch.tensor(theta, device="cpu")
