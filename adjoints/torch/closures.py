"""What a user's function reads besides its arguments, by the names that its author gave."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils import _pytree as pytree

from ..values_read import read_by, values_read

#: How far attributes of attributes are followed.
_DEPTH = 3


def names_in(function: Any) -> dict[int, str]:
    """The names of the tensors that `function` closes over, by their ``id``."""
    names: dict[int, str] = {}
    for name, value in read_by(function):
        for path, tensor in _tensors(name, value, _DEPTH):
            names.setdefault(id(tensor), path)
    return names


def kept_by(function: Any) -> dict[str, str]:
    """The numbers, texts and lengths of lists that `function` reads, by their names.

    What differs from one call to the next is what it counts or collects.
    """
    found: dict[str, str] = {}
    for name, value in values_read(function, torch.Tensor):
        if value is None or isinstance(value, bool | int | float | complex | str):
            found[name] = repr(value)
        elif isinstance(value, list | tuple | dict | set):
            found[name] = f"{len(value)} elements"
    return found


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
