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
from torch.autograd import forward_ad

from ..steps.runge_kutta import Rhs
from .derivatives import PLAIN
from .recorded_function import RecordedFunction
from .state import Config, Tensors
from .user_functions import Field, ModuleField

T = TypeVar("T")


class Functions:
    """Users' functions of which something is known, for as long as they live.

    They are told by the right-hand sides that were made of them.
    """

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()

    def __contains__(self, rhs: Rhs) -> bool:
        return bool(self.of(rhs))

    def add(self, rhs: Rhs) -> None:
        """Remember one."""
        self.of(rhs)[True] = True

    def of(self, rhs: Rhs) -> dict[Any, Any]:
        """What is known of one; of what cannot be remembered it is found out at every call."""
        try:
            return self._known.setdefault(_function(rhs), {})
        except TypeError:
            return {}


#: Those that plain autograd is needed for.
NEEDS_PLAIN = Functions()


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
            found, tangent = forward_ad.unpack_dual(self.rhs(t, y, params))
        if tangent is None:
            return found.detach()
        # Off the graph a tensor has no tangent either: that by time is a part of Rosenbrock steps.
        return forward_ad.make_dual(found.detach(), tangent.detach())


def with_plain_fallback(config: Config, run: Callable[[Config], T]) -> T:
    """What `run` returns, for `config` or for the same with derivatives by plain autograd."""
    plain = replace(config, derivatives=PLAIN, rhs=WithGraph(config.rhs))
    if config.rhs in NEEDS_PLAIN:
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
    NEEDS_PLAIN.add(config.rhs)
    return found


def _function(rhs: Any) -> Any:
    """What the user passed, below all that it was wrapped in."""
    if isinstance(rhs, RecordedFunction):
        rhs = rhs.function
    if isinstance(rhs, Field):
        rhs = rhs.function
    if isinstance(rhs, ModuleField):
        return rhs.module
    # A bound method is another object each time.
    return getattr(rhs, "__func__", rhs)
