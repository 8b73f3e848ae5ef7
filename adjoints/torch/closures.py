"""What a user's function reads besides its arguments, by the names that its author gave."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch.utils import _pytree as pytree

#: How far attributes of attributes are followed.
_DEPTH = 3

#: Longer lists are known by their lengths alone.
_LONGEST = 1000


def names_in(function: Any) -> dict[int, str]:
    """The names of the tensors that `function` closes over, by their ``id``."""
    names: dict[int, str] = {}
    for name, value in _read_by(function):
        for path, tensor in _tensors(name, value, _DEPTH):
            names.setdefault(id(tensor), path)
    return names


def kept_by(function: Any) -> dict[str, str]:
    """The numbers, texts and lengths of lists that `function` reads, by their names.

    What differs from one call to the next is what it counts or collects.
    """
    found: dict[str, str] = {}
    waiting = [(name, value, 2 * _DEPTH) for name, value in _read_by(function)]
    seen: dict[int, Any] = {}
    while waiting:
        name, value, depth = waiting.pop()
        if value is None or isinstance(value, bool | int | float | complex | str):
            found[name] = repr(value)
        elif isinstance(value, list | tuple | dict | set):
            found[name] = f"{len(value)} elements"
        if depth and id(value) not in seen:
            seen[id(value)] = value
            waiting.extend((f"{name}{path}", x, depth - 1) for path, x in _parts(value))
    return found


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What is in a value, and how one would write that."""
    if isinstance(value, dict | list | tuple):
        if len(value) <= _LONGEST:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            yield from ((f"[{key!r}]", x) for key, x in items)
    elif isinstance(value, torch.nn.Module):
        for name, module in value.named_modules():
            where = f".{name}" if name else ""
            yield from ((f"{where}.{key}", x) for key, x in vars(module).items())
    elif inspect.isfunction(value) or inspect.ismethod(value) or isinstance(value, partial):
        yield from ((f".{name}", x) for name, x in _read_by(value))
    elif not isinstance(value, torch.Tensor | type | ModuleType):
        yield from ((f".{name}", x) for name, x in getattr(value, "__dict__", {}).items())


def _read_by(function: Any) -> Iterator[tuple[str, Any]]:
    """What a function, a method, a partial function or an object that is called reads."""
    if isinstance(function, partial):
        yield from _read_by(function.func)
        yield from ((f"args[{i}]", x) for i, x in enumerate(function.args))
        yield from function.keywords.items()
    elif inspect.ismethod(function):
        yield "self", function.__self__
        yield from _read_by(function.__func__)
    elif inspect.isfunction(function):
        read = inspect.getclosurevars(function)
        yield from {**read.globals, **read.nonlocals}.items()
    else:
        yield type(function).__name__, function


def _tensors(name: str, value: Any, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in a value, with how one would write them."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, torch.nn.Module):
        own = {**vars(value), **dict(value.named_parameters()), **dict(value.named_buffers())}
        yield from ((f"{name}.{n}", x) for n, x in own.items() if isinstance(x, torch.Tensor))
    elif isinstance(value, list | tuple | dict):
        for path, leaf in pytree.tree_flatten_with_path(value)[0]:
            if leaf is not value:
                yield from _tensors(f"{name}{pytree.keystr(path)}", leaf, depth)
    elif depth and hasattr(value, "__dict__") and not inspect.ismodule(value):
        for n, x in vars(value).items():
            yield from _tensors(f"{name}.{n}", x, depth - 1)
