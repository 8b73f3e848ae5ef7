"""From what a user passes to what a solve reads: parameters as tuples of tensors, and modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ...problems.event import Event
from ..arguments import accepts, argument_names, check_function
from ..events.when_event import WhenEvent
from ..state_layout import Split, Still, View
from .state import Tensors
from .state_layout import stacked
from .transforms import carries_derivative, is_wrapped

Tree = Any


def split_params(params: Tree, like: torch.Tensor) -> tuple[Tensors, Tensors, Split]:
    """Floating leaves, other tensors, and how to put the tree together again."""
    if params is None:
        return (), (), Split(pytree.tree_structure(()), ())
    leaves, structure = pytree.tree_flatten(params)
    leaves = [_tensor(x, like) if _is_array(x) else Still(x) for x in leaves]
    tensors = [x for x in leaves if isinstance(x, torch.Tensor)]
    smooth = tuple(x for x in tensors if x.is_floating_point())
    others = tuple(x for x in tensors if not x.is_floating_point())
    kinds = tuple(x if isinstance(x, Still) else x.is_floating_point() for x in leaves)
    return smooth, others, Split(structure, kinds)


def _is_array(leaf: Any) -> bool:
    """Whether a leaf is computed with; a whole number counts, names or chooses."""
    if isinstance(leaf, np.ndarray | np.generic):
        return leaf.dtype.kind in "biufc"
    return isinstance(leaf, torch.Tensor | float | complex)


def _tensor(value: Any, like: torch.Tensor) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    # PyTorch's default for numbers may be single precision.
    dtype = like.dtype if isinstance(value, float) else None
    found = torch.as_tensor(value, dtype=dtype, device=like.device)
    return found.to(like.dtype) if found.is_floating_point() else found


class TorchView(View):
    """How a user's functions on PyTorch see a solve."""

    def _plain(self, found: Tree, like: torch.Tensor) -> Any:
        return stacked(found, like)


@dataclass(frozen=True)
class UserFunction:
    """A function of a user's, of which the loop reads both kinds of parameters and flat states."""

    function: Callable[..., Any]
    merge: Callable[..., Tree]
    view: View = field(default_factory=TorchView)

    def returned(
        self, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors], *number: int
    ) -> Any:
        """What the function returns, called as its user wrote it; a jump is told its number."""
        view, tree = self.view, self.merge(*params)
        arguments = tree if view.spread else (tree,)
        return self.function(*number, view.turned(t), view.structure(y), *arguments)


class Field(UserFunction):
    """A right-hand side ``rhs(t, y, p)`` as the loop calls it."""

    def __call__(
        self, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """``dy/dt``."""
        return self.view.turned(self.view.state("rhs", self.returned(t, y, params), y))


class Jump(UserFunction):
    """A user's jumps as the loop calls them."""

    def __call__(
        self, number: int, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """The state just after jump `number`."""
        return self.view.state("jump", self.returned(t, y, params, number), y)


class When(UserFunction):
    """An event's ``when(t, y, p)`` as the loop calls it."""

    def __call__(
        self, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """The value that passes through zero."""
        found = stacked(self.returned(t, y, params), y)
        # An axis of one element is one number as well.
        one = isinstance(found, torch.Tensor) and found.numel() == 1
        return found.reshape(()) if one else found


class EventJump(UserFunction):
    """An event's ``jump(t, y, p)`` as the loop calls it."""

    def __call__(
        self, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """The state just after."""
        return self.view.state("event jump", self.returned(t, y, params), y)


class Jacobian(UserFunction):
    """A user's matrix of derivatives, by the flat state, as the loop calls it."""

    def __call__(
        self, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """``d rhs / dy``, shape ``(n, n)``."""
        return self.view.turned(stacked(self.returned(t, y, params), y))


@dataclass(frozen=True)
class ModuleField:
    """A module ``module(t, y)`` as a right-hand side; its parameters are those of the solve."""

    module: torch.nn.Module

    def __call__(self, t: torch.Tensor, y: Tree, params: dict[str, Any], *args: Any) -> Any:
        """``dy/dt``."""
        # Putting other tensors in their places takes longer than a small module itself.
        if all(params[name] is own[key] for name, own, key in self._places if name in params):
            return self.module(t, y, *args)
        return torch.func.functional_call(self.module, params, (t, y, *args))

    @cached_property
    def _places(self) -> list[tuple[str, Mapping[str, torch.Tensor | None], str]]:
        """Where the module has its parameters and buffers, by their names."""
        return [
            (f"{prefix}.{key}" if prefix else key, own, key)
            for prefix, part in self.module.named_modules()
            for own in (part._parameters, part._buffers)
            for key in own
        ]


class UserFunctions(NamedTuple):
    """A user's functions as the loop calls them, and the tensors that they are called with."""

    rhs: Field
    jump: Jump | None
    jacobian: Jacobian | None
    smooth: Tensors
    constants: Tensors
    events: tuple[WhenEvent, ...] = ()


def user_functions(
    functions: tuple[Any, Any, Any],
    params: Tree,
    args: tuple[Any, ...] | None,
    view: View,
    like: torch.Tensor,
    *,
    compile: bool,
    events: tuple[Event, ...] = (),
) -> UserFunctions:
    """What a user passed as ``(rhs, jump, jacobian)``, ``params``, ``args`` and `events`.

    Each function is called as ``(t, y, params)``, or ``(t, y, *args)``; without either it may take
    ``(t, y)`` alone. A module has parameters of its own.
    """
    rhs, jump, jacobian = functions
    names = argument_names(params, args)
    if isinstance(rhs, torch.nn.Module):
        if params is not None:
            raise ValueError("params: a module brings its own parameters; leave params out")
        check_function("rhs", rhs.forward, "t", "y", *names)
        rhs, args = ModuleField(rhs), (named_tensors(rhs, compile=compile), *(args or ()))
        names = ("params", *names)
    smooth, constants, split = split_params(params if args is None else args, like)

    def seen(argument: str, function: Any, *takes: str) -> tuple[Any, Split, View]:
        if not names and accepts(function, *takes):
            return function, split, replace(view, spread=True)
        check_function(argument, function, *takes, *(names or ("params",)))
        return function, split, replace(view, spread=args is not None)

    return UserFunctions(
        Field(*seen("rhs", rhs, "t", "y")),
        None if jump is None else Jump(*seen("jump", jump, "i", "t", "y")),
        None if jacobian is None else Jacobian(*seen("jacobian", jacobian, "t", "y")),
        smooth,
        constants,
        tuple(
            WhenEvent.of(
                event,
                lambda when: When(*seen("when", when, "t", "y")),
                lambda jump: EventJump(*seen("event jump", jump, "t", "y")),
            )
            for event in events
        ),
    )


def named_tensors(module: torch.nn.Module, *, compile: bool) -> dict[str, torch.Tensor]:
    """What a solve has to know of a module, by name: its parameters, and buffers if need be.

    A buffer that nothing differentiates stays in the module, which may change it in place.
    Compiled loops read it from outside, and lanes of ``vmap`` have one each.
    """
    buffers = dict(module.named_buffers())
    told = {
        name: x for name, x in buffers.items() if compile or is_wrapped(x) or carries_derivative(x)
    }
    return {**dict(module.named_parameters()), **told}


@dataclass(frozen=True)
class Names:
    """Parameters and constants of a problem by their names, from tuples in this order."""

    params: tuple[str, ...]
    constants: tuple[str, ...]

    def __call__(self, params: Tensors, constants: Tensors) -> dict[str, torch.Tensor]:
        """One dict of both."""
        known = zip((*self.params, *self.constants), (*params, *constants), strict=True)
        return dict(known)
