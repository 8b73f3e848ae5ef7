"""Which way of taking derivatives a right-hand side needs, found out once.

PyTorch's function transforms are tried first. Where a right-hand side does what they cannot
follow, everything is done again by plain autograd, and that is remembered for the function.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch

from ..steps.runge_kutta import Rhs
from .derivatives import PLAIN
from .state import Config, Tensors
from .user_functions import Field, ModuleField

T = TypeVar("T")

#: The functions that plain autograd is needed for.
_plain: weakref.WeakSet[Any] = weakref.WeakSet()


@dataclass(frozen=True)
class WithGraph:
    """A right-hand side that takes gradients inside: it is called with gradients on."""

    rhs: Rhs

    def __call__(
        self, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """``dy/dt``, with a graph only where one is wanted."""
        if torch.is_grad_enabled():
            return self.rhs(t, y, params)
        with torch.enable_grad():
            return self.rhs(t, y, params).detach()


def with_plain_fallback(config: Config, run: Callable[[Config], T]) -> T:
    """What `run` returns, for `config` or for the same with derivatives by plain autograd."""
    function = _function(config.rhs)
    plain = replace(config, derivatives=PLAIN, rhs=WithGraph(config.rhs))
    if _is_known(function):
        return run(plain)
    try:
        return run(config)
    except (RuntimeError, TypeError, ValueError) as error:
        if "randomness" in str(error):
            raise ValueError(
                "rhs draws random numbers, which a reverse pass would draw again; draw them before "
                "the solve and pass them in params"
            ) from error
        try:
            found = run(plain)
        except Exception as second:
            raise second from error
    _remember(function)
    return found


def _function(rhs: Any) -> Any:
    """What the user passed, below all that it was wrapped in."""
    if isinstance(rhs, Field):
        rhs = rhs.function
    if isinstance(rhs, ModuleField):
        return rhs.module
    # A bound method is another object each time.
    return getattr(rhs, "__func__", rhs)


def _is_known(function: Any) -> bool:
    try:
        return function in _plain
    except TypeError:
        return False


def _remember(function: Any) -> None:
    try:
        _plain.add(function)
    except TypeError:
        # What cannot be kept in a set is tried again at every call.
        return
