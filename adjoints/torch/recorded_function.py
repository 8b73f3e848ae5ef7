"""A function of a user's with the operations that it makes, by which it is known again.

What is compiled for one function serves every other that does the same: a module with other
weights, or the same one made anew. And it serves the same function no more once that does
something else, because a number that it reads has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .state import Tensors
from .transforms import is_wrapped

#: Operations of a function, as far as they tell it from others; those that were met.
Operations = tuple[Any, ...]
_met: dict[Operations, Operations] = {}

#: So many are remembered at most.
MOST_MET = 1024


@dataclass(frozen=True)
class RecordedFunction:
    """``function(t, y, (params, constants))``, equal to others of the same operations.

    ``held`` keeps the tensors that it read without being given them, as they are known by where
    their numbers lie.
    """

    function: Callable[..., torch.Tensor] = field(compare=False)
    operations: Operations
    held: Tensors = field(compare=False, default=(), repr=False)

    def __call__(
        self, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """What the function returns."""
        return self.function(t, y, params)

    def __hash__(self) -> int:
        # What was met is one object, and a hash of all in it would be made at every look-up.
        return id(self.operations)


def recorded_function(
    function: Callable[..., torch.Tensor],
    t: torch.Tensor,
    y: torch.Tensor,
    params: tuple[Tensors, Tensors],
) -> Callable[..., torch.Tensor]:
    """`function` with its operations, found by one call with these arguments.

    It comes back as it is where a transform is at work on them, or where it takes gradients inside:
    then it is known by which object it is.
    """
    given = (t, y, *params[0], *params[1])
    if any(map(is_wrapped, given)):
        return function
    try:
        return _recorded(function, t, y, params)
    except (RuntimeError, TypeError, ValueError):
        return function


def _recorded(
    function: Callable[..., torch.Tensor],
    t: torch.Tensor,
    y: torch.Tensor,
    params: tuple[Tensors, Tensors],
) -> RecordedFunction:
    recorder = _Recorder((t, y, *params[0], *params[1]))
    with torch.no_grad(), recorder:
        found = function(t, y, params)
    operations = (*recorder.operations, recorder.named(found))
    while len(_met) >= MOST_MET:
        _met.pop(next(iter(_met)))
    return RecordedFunction(function, _met.setdefault(operations, operations), tuple(recorder.held))


class _Recorder(TorchDispatchMode):
    """Writes down operations, with their tensors by where these came from."""

    def __init__(self, given: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.operations: list[Any] = []
        self.held: list[torch.Tensor] = []
        # Whoever is known by its address must not go before the others come.
        self._kept, self._names = list(given), {id(x): i for i, x in enumerate(given)}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        new = func is torch.ops.aten.lift_fresh.default
        read = self._contents(args[0]) if new else self.named((args, tuple(kwargs.items())))
        self.operations.append((func, read))
        found = func(*args, **kwargs)
        for x in _tensors(found):
            if id(x) not in self._names:
                self._names[id(x)] = len(self._kept)
                self._kept.append(x)
        return found

    def named(self, value: Any) -> Any:
        """A value as it is told from others: tensors by their origin, numbers with their type."""
        if isinstance(value, torch.Tensor):
            return self._origin(value)
        if isinstance(value, tuple | list):
            return tuple([self.named(x) for x in value])
        # As text, since NaN is not equal to itself, and zero to its negative.
        return (type(value), repr(value) if isinstance(value, float | complex) else value)

    def _origin(self, x: torch.Tensor) -> Any:
        number = self._names.get(id(x))
        if number is not None:
            return number
        self.held.append(x)
        return (x.data_ptr(), x.shape, x.stride(), x.dtype, x.device, x.requires_grad)

    @staticmethod
    def _contents(x: torch.Tensor) -> Any:
        """What a constant is that was made inside, of Python's or NumPy's numbers."""
        numbers = x.detach().reshape(-1).view(torch.uint8).cpu().numpy().tobytes()
        return (x.shape, x.dtype, x.device, numbers)


def _tensors(found: Any) -> Iterator[torch.Tensor]:
    """The tensors that an operation returns."""
    if isinstance(found, torch.Tensor):
        yield found
    elif isinstance(found, tuple | list):
        for x in found:
            yield from _tensors(x)
