"""What compiled programs are made of and take, and which axes of that may have any length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from .state import Config, Operands, Tensors

#: For each input which of its axes may have any length, if one may.
Axes = tuple[int | None, ...]

#: States of one axis up to this size are solved by compiled loops: beside a step of theirs, what
#: it costs to call a program is more than what a loop carries along.
LARGEST_OF_LOOPS = 64


class Source(NamedTuple):
    """A function to compile, and tensors that it takes after its inputs, the same at each call."""

    function: Callable[..., Any]
    held: Tensors = ()


def in_loops(y: torch.Tensor) -> bool:
    """Whether whole loops are compiled: for small states that are no batch of any size."""
    return y.ndim < 2 and y.numel() <= LARGEST_OF_LOOPS


def open_axes(config: Config, y: torch.Tensor, along: Tensors, others: int) -> Axes | None:
    """The axis of each input that is the first of the state, if that may be one of samples.

    Whether it may have any length shows when a step is compiled.

    Parameters
    ----------
    config
    y : tensor
        The state.
    along : tuple of tensor
        What has the shape of the state, perhaps with axes in front, or another number of axes.
    others : int
        Inputs after those; parameters and constants may be as long as the state by chance.
    """
    if y.ndim < 2 or config.tableau.implicit:
        return None
    axes = (x.ndim - y.ndim if x.shape[-y.ndim :] == y.shape else None for x in along)
    return (*axes, *(None,) * others)


def flat(ops: Operands) -> Tensors:
    """Operands one after the other, parameters and constants last."""
    return (*ops[2:], *ops.params, *ops.constants)


def unflat(shape: tuple[int, int], flat: Tensors) -> Operands:
    """Operands again, of so many parameters and constants."""
    rest, named = flat[:5], flat[5:]
    return Operands(named[: shape[0]], named[shape[0] :], *rest)


def length(inputs: Tensors, axes: Axes | None) -> int:
    """The length of the open axes; 0 where there are none, as those of length 1 are no others."""
    for x, axis in zip(inputs, axes or (), strict=False):
        if axis is not None:
            return x.shape[axis] if x.shape[axis] > 1 else 0
    return 0
