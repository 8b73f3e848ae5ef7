"""The problem of a ``torch.nn.Module``: its parameters by name, its ``forward`` the equations."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

#: How many arguments `forward` may take: ``forward(y)`` and ``forward(t, y)``.
_STATE, _TIME_AND_STATE = 1, 2


class ModuleField:
    """``rhs(t, y, p)`` of a module, which stays as it is; ``p`` has its tensors by name."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        self.takes_time = _takes_time(module)
        self.names = frozenset(dict(module.named_parameters()) | dict(module.named_buffers()))
        #: Where the equations are written, for the hash of the definition.
        self.__module__ = _source(module)

    def __call__(self, t: Any, y: Any, p: Mapping[str, Any]) -> Any:
        """``dy/dt``."""
        from torch.func import functional_call

        tensors = {name: value for name, value in p.items() if name in self.names}
        return functional_call(self.module, tensors, (t, y) if self.takes_time else (y,))

    def __repr__(self) -> str:
        return repr(self.module)


def arrays_of(
    module: torch.nn.Module,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Copies of what a module holds: what is trained, and all the rest, by name."""
    trained, others = {}, {}
    for name, value in module.named_parameters():
        (trained if value.requires_grad else others)[name] = value.numpy(force=True).copy()
    for name, value in module.named_buffers():
        others[name] = value.numpy(force=True).copy()
    return trained, others


def check_module(module: object) -> None:
    """Refuse what is no module."""
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ValueError(
            f"module={module!r} must be a torch.nn.Module; of a function make "
            "adjointbench.Problem(rhs=..., params=...)"
        )


def _takes_time(module: torch.nn.Module) -> bool:
    """Whether it is ``forward(t, y)``, not ``forward(y)``."""
    parameters = inspect.signature(module.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p.name for p in parameters if p.kind in positional and p.default is p.empty]
    if len(required) not in (_STATE, _TIME_AND_STATE):
        raise ValueError(
            f"module.forward takes {', '.join(required) or 'no argument'}; it must be "
            "forward(t, y) or forward(y)"
        )
    return len(required) == _TIME_AND_STATE


def _source(module: torch.nn.Module) -> str:
    name = type(module).__module__
    return "" if name.partition(".")[0] == "torch" else name
