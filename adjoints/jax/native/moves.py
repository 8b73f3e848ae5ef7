"""Primitives that move elements about: NumPy does it, on expressions as on numbers."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.lax import GatherScatterMode

from ...native.symbolic_array import array_of
from .equation import Equation, Rule, evaluated, is_known
from .primitives import select_n


def _same(equation: Equation) -> Any:
    found = equation.inputs
    return found if equation.written.primitive.multiple_results else found[0]


def _broadcast_in_dim(equation: Equation) -> np.ndarray:
    array, shape = equation.inputs[0], tuple(equation["shape"])
    between = [1] * len(shape)
    for axis, size in zip(equation["broadcast_dimensions"], array.shape, strict=True):
        between[axis] = size
    return np.broadcast_to(array.reshape(between), shape)


def _reshape(equation: Equation) -> np.ndarray:
    array, first = equation.inputs[0], equation["dimensions"]
    array = array if first is None else array.transpose(first)
    return array.reshape(tuple(equation["new_sizes"]))


def _iota(equation: Equation) -> np.ndarray:
    shape, axis = tuple(equation["shape"]), equation["dimension"]
    count = np.arange(shape[axis]).astype(equation["dtype"])
    return np.broadcast_to(count.reshape(-1, *(1 for _ in shape[axis + 1 :])), shape)


def _slice(equation: Equation) -> np.ndarray:
    ends = zip(equation["start_indices"], equation["limit_indices"], strict=True)
    strides = equation["strides"] or (1,) * equation.inputs[0].ndim
    return equation.inputs[0][
        tuple(slice(*end, step) for end, step in zip(ends, strides, strict=True))
    ]


def _split(equation: Equation) -> list[np.ndarray]:
    return np.split(equation.inputs[0], np.cumsum(equation["sizes"])[:-1], equation["axis"])


def _unstack(equation: Equation) -> list[np.ndarray]:
    return list(np.moveaxis(equation.inputs[0], equation["axis"], 0))


def _window(array: np.ndarray, starts: list[np.ndarray], sizes: Any) -> tuple[slice, ...]:
    """A part of an array, moved so that all of it lies within."""
    firsts = (
        min(max(int(start), 0), whole - size)
        for start, size, whole in zip(starts, sizes, array.shape, strict=True)
    )
    return tuple(slice(i, i + size) for i, size in zip(firsts, sizes, strict=True))


def _dynamic_slice(equation: Equation) -> np.ndarray:
    array, *starts = equation.inputs
    return array[_window(array, starts, equation["slice_sizes"])]


def _dynamic_update_slice(equation: Equation) -> np.ndarray:
    array, update, *starts = equation.inputs
    changed = array.astype(np.result_type(array, update))
    changed[_window(array, starts, update.shape)] = update
    return changed


def _numbers(array: np.ndarray, first: int) -> np.ndarray:
    """A number for each element."""
    return np.arange(first, first + array.size, dtype=np.int32).reshape(array.shape)


def _pad(equation: Equation) -> np.ndarray:
    array, padding = equation.inputs
    moved = evaluated(equation.written, [_numbers(array, 1), np.int32(0)])
    return _by_number([padding, array], moved)


def _gather(equation: Equation) -> np.ndarray:
    array, places = equation.inputs
    fill, given = equation["fill_value"], [_numbers(array, 1), places]
    outside = np.array(np.nan if fill is None else fill)
    found = _by_number([outside, array], evaluated(equation.written, given, fill_value=0))
    last = np.subtract(array.shape, equation["slice_sizes"])
    last = last[list(equation["dimension_numbers"].start_index_map)]
    promised = equation["mode"] == GatherScatterMode.PROMISE_IN_BOUNDS
    if is_known(array) or not promised or ((places >= 0) & (places <= last)).all():
        return found
    # JAX moves places beyond into the array, but drops what comes back from there.
    filled = {"mode": GatherScatterMode.FILL_OR_DROP, "fill_value": 0}
    kept = evaluated(equation.written, given, **filled) > 0
    held = [equation.make.make("held", e) for e in equation.expressions(found)]
    return np.where(kept, found, array_of(held, found.shape))


def _scatter(equation: Equation) -> np.ndarray:
    array, indices, updates = equation.inputs
    numbers = [_numbers(array, 0), indices, _numbers(updates, array.size)]
    return _by_number([array, updates], evaluated(equation.written, numbers))


def _scatter_add(equation: Equation) -> np.ndarray:
    array, indices, updates = equation.inputs
    written = equation.written

    def scattered(updates: Any) -> Any:
        zeros = np.zeros(array.shape, np.float32)
        return written.primitive.bind(zeros, indices, updates, **written.params)

    # Its transpose tells to which element each update goes; those that go nowhere get zero.
    with jax.ensure_compile_time_eval():
        (found,) = jax.linear_transpose(scattered, np.zeros(updates.shape, np.float32))(
            _numbers(array, 1).astype(np.float32)
        )
    total = array.ravel().astype(object)
    for target, update in zip(np.asarray(found).ravel(), updates.ravel().tolist(), strict=True):
        if target:
            total[int(target) - 1] = total[int(target) - 1] + update
    return total.reshape(array.shape)


def _by_number(arrays: list[np.ndarray], numbers: np.ndarray) -> np.ndarray:
    """Elements of some arrays, numbered through."""
    every = [x for array in arrays for x in array.ravel().tolist()]
    found = array_of([every[i] for i in numbers.ravel().tolist()], numbers.shape)
    return found if not all(map(is_known, arrays)) else found.astype(arrays[-1].dtype)


#: For known values as well.
MOVES: dict[str, Rule] = {
    **dict.fromkeys(("copy", "copy_p", "device_put", "name", "optimization_barrier"), _same),
    "broadcast_in_dim": _broadcast_in_dim,
    "reshape": _reshape,
    "iota": _iota,
    "slice": _slice,
    "split": _split,
    "unstack": _unstack,
    "select_n": select_n,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "squeeze": lambda e: np.squeeze(e.inputs[0], tuple(e["dimensions"])),
    "transpose": lambda e: e.inputs[0].transpose(e["permutation"]),
    "concatenate": lambda e: np.concatenate(e.inputs, e["dimension"]),
    "stack": lambda e: np.stack(e.inputs, e["axis"]),
    "tile": lambda e: np.tile(e.inputs[0], e["reps"]),
    "rev": lambda e: np.flip(e.inputs[0], tuple(e["dimensions"])),
}

#: For values that are not known; the primitives themselves move numbers of elements.
INDEXED: dict[str, Rule] = {
    "pad": _pad,
    "gather": _gather,
    "scatter": _scatter,
    "scatter-add": _scatter_add,
}
