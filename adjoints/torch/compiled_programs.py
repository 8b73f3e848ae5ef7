"""Functions of tensors compiled by PyTorch's compiler, kept by what they do and what they read.

A function is traced to a plain graph of tensor operations, and that is handed to the compiler's
back end: neither the equations nor the function transforms in them have to be understood by the
compiler's own tracing of Python. The length of an axis may be left open, so that one program
serves batches of all sizes. PyTorch keeps programs without loops on disk, by their graphs, so that
another process, or another function of the same operations, finds them compiled.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from .program_inputs import Axes, Source, length
from .state import Tensors

#: Compiled programs that are kept; the oldest makes room.
MOST_KEPT = 128
_kept: dict[Any, list[Compiled]] = {}


class Compiled(NamedTuple):
    """A compiled function, or why there is none, and the seconds that it took.

    ``call`` takes and gives a tuple of tensors. ``serves`` tells whether it does so for open axes
    of this length.
    """

    call: Callable[[Tensors], Tensors] | None
    reason: str
    seconds: float
    serves: Callable[[int], bool]


def compiled(
    key: Any,
    build: Callable[[Sequence[Any]], Source],
    inputs: Tensors,
    axes: Axes | None = None,
) -> Compiled:
    """What `build` makes, compiled for inputs like these, now or before.

    Parameters
    ----------
    key : hashable
        What the function does.
    build : callable
        Makes the function, of tensor operations alone, from inputs to trace it on.
    inputs : tuple of tensor
    axes : tuple of int or None, optional
        For each input which of its axes is open, if any; all of them are of one length.
    """
    size = length(inputs, axes)
    full = (key, torch.get_num_threads(), _shapes(inputs, axes if size else None))
    variants = _kept.setdefault(full, [])
    for made in variants:
        if made.serves(size):
            return made
    while len(_kept) > MOST_KEPT:
        _kept.pop(next(iter(_kept)))
    variants.append(_compile(build, inputs, axes if size else None))
    return variants[-1]


def _shapes(inputs: Tensors, axes: Axes | None) -> tuple[Any, ...]:
    """What a program depends on of its inputs."""
    if axes is None:
        return tuple((x.shape, x.dtype, x.device) for x in inputs)
    return tuple(
        (
            x.shape if axis is None else (*x.shape[:axis], None, *x.shape[axis + 1 :]),
            x.dtype,
            x.device,
        )
        for x, axis in zip(inputs, axes, strict=True)
    )


def _compile(
    build: Callable[[Sequence[Any]], Source], inputs: Tensors, axes: Axes | None
) -> Compiled:
    began = time.perf_counter()
    call, reason, serves = None, "", _always
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # They take a second to import, which only who compiles should wait for. PyTorch reads
            # the folders of its compiler once, as it is imported: they are looked at before.
            from .compiler_check import why_none

            reason = why_none()
            if not reason:
                from .back_end import program

                call, serves = program(build, inputs, axes)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return Compiled(call, reason, time.perf_counter() - began, serves)


def _always(size: int) -> bool:
    """For open axes of every length."""
    del size
    return True
