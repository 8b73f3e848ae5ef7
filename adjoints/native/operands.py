"""What a program's calls read, as the C code knows it: see ``calls.c``."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..steps.stops import Stops

#: Where the sizes of steps come from, and how the estimates are summed: numbers in the C code.
CONTROLS = ("error", "constant", "given")
REDUCTIONS = ("sum", "mean", "max")

#: Bytes of accepted steps that are kept with their stages, where the gradient owns the memory.
WINDOW_BYTES = 1 << 22


def window_of(program: ctypes.CDLL, max_steps: int, most_bytes: int) -> int:
    """How many steps of a program fit, eight at least."""
    return min(max_steps, max(8, most_bytes // int(program.step_bytes())))


class Whole(NamedTuple):
    """The whole numbers of a call that are known before it.

    The last ``window`` steps are kept with their stages, the older ones taken again.
    """

    saves: int
    jumps_a_stop: int
    max_steps: int
    window: int
    control: str = "error"
    absolute: bool = False
    reduction: str = "sum"

    @property
    def array(self) -> np.ndarray:
        """As the C code reads them."""
        control, reduction = CONTROLS.index(self.control), REDUCTIONS.index(self.reduction)
        return np.array([*self[:3], control, self.absolute, reduction, self.window], np.int64)


def numbers_of(t0: Any, first_step: Any, max_step: Any, dtype: Any) -> np.ndarray:
    """The real numbers of a call; sizes that are not given are NaN."""
    sizes = (np.nan if size is None else size for size in (first_step, max_step))
    return np.array([t0, *sizes], dtype)


def stop_operands(stops: Stops, dtype: Any) -> Sequence[np.ndarray]:
    """Times of the stops, whether they have two sides, their jumps; and counts.

    The counts are the first and the last stop, those of given steps and their pieces, of which
    there are none, and whether the arguments make sense.
    """
    return (
        np.array(stops.times, dtype),
        np.array(stops.sided, np.uint8),
        stops.jump_rows,
        np.array([stops.first, len(stops.times) - 1, 0, 1, 1], np.int32),
    )


def pointers(arrays: Sequence[np.ndarray | None], count: int) -> np.ndarray:
    """The addresses of the rows of arrays, which must outlive them, for so many trajectories.

    An array of one row serves them all.
    """
    starts = [0 if a is None else a.ctypes.data for a in arrays]
    strides = [0 if a is None or len(a) == 1 else a.strides[0] for a in arrays]
    rows = np.arange(count, dtype=np.uintp)[:, None]
    return np.array(starts, np.uintp) + rows * np.array(strides, np.uintp)
