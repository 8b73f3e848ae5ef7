"""ATen's functions that move the elements of arrays about, by NumPy.

What shares its memory in PyTorch does so here: a write into a part is one into the whole.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray


def _select(a: Array, dim: int, index: int) -> Array:
    end = None if index == -1 else index + 1
    return np.squeeze(_slice(a, dim, index, end), dim)


def _slice(
    a: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Array:
    return a[(slice(None),) * (dim % a.ndim) + (slice(start, end, step),)]


def _squeeze(a: Array, dim: int | Sequence[int] | None = None) -> Array:
    dims = range(a.ndim) if dim is None else np.atleast_1d(dim).tolist()
    return np.squeeze(a, tuple(d for d in dims if a.shape[d] == 1))


def _expand(a: Array, size: Sequence[int], implicit: bool = False) -> Array:
    shape = (1,) * (len(size) - a.ndim) + a.shape
    return np.broadcast_to(a, [s if n == -1 else n for n, s in zip(size, shape, strict=True)])


def _split(a: Array, size: int, dim: int = 0) -> list[Array]:
    return [_slice(a, dim, i, i + size) for i in range(0, a.shape[dim], size)]


def _split_with_sizes(a: Array, sizes: Sequence[int], dim: int = 0) -> list[Array]:
    ends = np.cumsum(sizes).tolist()
    return [_slice(a, dim, end - n, end) for end, n in zip(ends, sizes, strict=True)]


def _cat(arrays: Sequence[Array], dim: int = 0) -> Array:
    # PyTorch passes over empty ones of one axis, whatever the others' shape.
    return np.concatenate([a for a in arrays if a.shape != (0,)] or arrays, dim)


def _roll(a: Array, shifts: Sequence[int], dims: Sequence[int] = ()) -> Array:
    return np.roll(a, tuple(shifts), tuple(dims)) if dims else np.roll(a, shifts[0])


def _diagonal(a: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    found = np.diagonal(a, offset, dim1, dim2)
    # NumPy forbids what is written to it otherwise.
    found.flags.writeable = a.flags.writeable
    return found


def _diag_embed(a: Array, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Array:
    n = a.shape[-1] + abs(offset)
    found = np.full((*a.shape[:-1], n, n), 0.0, object)
    rows = np.arange(a.shape[-1]) + max(-offset, 0)
    found[..., rows, rows + offset] = a
    return np.moveaxis(found, (-2, -1), (dim1, dim2))


def _index(a: Array, indices: Sequence[Any]) -> Array:
    return a[_places(indices)]


def _places(indices: Sequence[Any]) -> tuple[Any, ...]:
    """Known indices as NumPy takes them."""
    if any(i is not None and i.dtype == object for i in indices):
        raise TypeError("an index depends on values")
    return tuple(slice(None) if i is None else i for i in indices)


def _index_put(a: Array, indices: Sequence[Any], values: Array, accumulate: bool = False) -> Array:
    found, places = np.array(a, object), _places(indices)
    if accumulate:
        np.add.at(found, places, values)
    else:
        found[places] = values
    return found


def _index_select(a: Array, dim: int, index: Array) -> Array:
    (place,) = _places([index])
    return np.take(a, place, dim)


def _index_add(a: Array, dim: int, index: Array, source: Array, alpha: float = 1) -> Array:
    found = np.array(a, object)
    np.add.at(np.moveaxis(found, dim, 0), _places([index]), np.moveaxis(source, dim, 0) * alpha)
    return found


def _beside(dim: int, index: Array, ndim: int) -> list[Array]:
    """The places that an index along one axis tells, the others being its own."""
    own: Any = np.indices(index.shape)
    return [index if axis == dim % ndim else own[axis] for axis in range(ndim)]


def _scatter(a: Array, dim: int, index: Array, source: Any, *, add: bool = False) -> Array:
    part = source if np.ndim(source) == 0 else source[tuple(map(slice, index.shape))]
    return _index_put(a, _beside(dim, index, a.ndim), part, add)


def _unfold(a: Array, dim: int, size: int, step: int) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(a, size, dim)
    return _slice(windows, dim % a.ndim, step=step)


def _pad(a: Array, pad: Sequence[int], value: float = 0.0) -> Array:
    widths = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    return np.pad(a, [(0, 0)] * (a.ndim - len(widths)) + widths, constant_values=value)


def _triangle(keep: Callable[..., Array]) -> Callable[..., Array]:
    def rule(a: Array, diagonal: int = 0) -> Array:
        return np.where(keep(np.ones(a.shape[-2:], bool), diagonal), a, 0.0)

    return rule


def _copied(a: Array, **_: Any) -> Array:
    return a.copy()


MOVES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("view", "_unsafe_view"), lambda a, size: a.reshape(size)),
    **dict.fromkeys(("alias", "lift_fresh"), lambda a: a[...]),
    **dict.fromkeys(("clone", "lift_fresh_copy"), _copied),
    "copy": lambda a, b, non_blocking=False: np.broadcast_to(b, a.shape),
    "permute": lambda a, dims: a.transpose(dims),
    "t": lambda a: a.T,
    "transpose": lambda a, dim0, dim1: np.swapaxes(a, dim0, dim1),
    "unsqueeze": lambda a, dim: np.expand_dims(a, dim),
    "squeeze": _squeeze,
    "expand": _expand,
    "repeat": lambda a, repeats: np.tile(a, repeats),
    "cat": _cat,
    "stack": lambda arrays, dim=0: np.stack(arrays, dim),
    **dict.fromkeys(("split", "unsafe_split"), _split),
    **dict.fromkeys(("split_with_sizes", "unsafe_split_with_sizes"), _split_with_sizes),
    "unbind": lambda a, dim=0: [_select(a, dim, i) for i in range(a.shape[dim])],
    "select": _select,
    "slice": _slice,
    "flip": lambda a, dims: np.flip(a, tuple(dims)),
    "roll": _roll,
    "unfold": _unfold,
    "diagonal": _diagonal,
    "diag_embed": _diag_embed,
    "tril": _triangle(np.tril),
    "triu": _triangle(np.triu),
    "index": _index,
    "index_put": _index_put,
    "index_select": _index_select,
    "index_add": _index_add,
    "gather": lambda a, dim, index: _index(a, _beside(dim, index, a.ndim)),
    "scatter": _scatter,
    "scatter_add": functools.partial(_scatter, add=True),
    "masked_select": lambda a, mask: _index(np.broadcast_arrays(a, mask)[0], [mask]),
    "constant_pad_nd": _pad,
    "fill": lambda a, value: np.broadcast_to(value, a.shape),
    "zero": lambda a: np.zeros(a.shape),
}

#: New arrays, for which another tells no more than shape and dtype.
CREATED = frozenset(
    name for kind in ("zeros", "ones", "full", "empty") for name in (f"{kind}_like", f"new_{kind}")
)
