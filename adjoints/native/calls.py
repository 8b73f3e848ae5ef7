"""The calls of a native loop, on NumPy arrays: see ``calls.c``."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .loop import NativeLoop
from .operands import Whole, pointers

_CALL = (ctypes.c_void_p,) * 4


#: Fewer trajectories are solved one after the other by the program of one.
FEWEST_BESIDE = 4


@dataclass(frozen=True)
class Kept:
    """What a solve leaves to the calls that follow, with a row for each trajectory.

    ``counts`` are status, accepted steps, attempts and whether there is a record, which of many
    trajectories is not kept; ``steps`` has rows of start and size, of which those that were taken
    are written.
    """

    counts: np.ndarray
    end: np.ndarray
    steps: np.ndarray
    record: np.ndarray | None


class Calls:
    """The solves of some trajectories, their pull-backs and their estimates.

    Parameters
    ----------
    loop : NativeLoop
    whole : Whole
    operands : sequence of ndarray
        In the order of ``calls.c``, each contiguous, with a row for each trajectory, or one for
        all of them.
    count : int
        How many trajectories there are.
    """

    def __init__(
        self, loop: NativeLoop, whole: Whole, operands: Sequence[np.ndarray], count: int = 1
    ) -> None:
        self._loop, self._whole, self._count = loop, whole, count
        self._operands = list(operands)
        self._settings = whole.array
        self._dtype = operands[0].dtype
        self._program = loop.library if count < FEWEST_BESIDE else loop.lanes_or_one()

    def solve(self) -> tuple[np.ndarray, Kept]:
        """The saves, flat, and what the other calls read."""
        whole, count = self._whole, self._count
        ys = np.empty((count, whole.saves * self._loop.n), self._dtype)
        size = self._loop.record_bytes(whole.max_steps, whole.window)
        kept = Kept(
            np.empty((count, 4), np.int32),
            np.empty((count, 1), self._dtype),
            np.empty((count, whole.max_steps, 2), self._dtype),
            np.empty((1, size), np.uint8) if count == 1 else None,
        )
        self._call("solve", [], [ys, *self._written(kept)])
        return ys, kept

    def pull_back(
        self, kept: Kept, dys: np.ndarray, dtotals: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The cotangents of start and parameters, from those of the saves and the estimates."""
        out = [np.empty((self._count, size), self._dtype) for size in (self._loop.n, self._loop.m)]
        self._call("pull_back", [*self._written(kept), dys, dtotals], out)
        return out[0], out[1]

    def estimates(self, kept: Kept) -> np.ndarray:
        """The estimates of error, of its square, and of stiffness."""
        totals = np.empty((self._count, 3), self._dtype)
        self._call("estimates", self._written(kept), [totals])
        return totals

    def bytes_kept(self, kept: Kept) -> int:
        """The bytes that a solve left behind."""
        steps = int(kept.counts[:, 1].sum())
        record = 0 if kept.record is None else self._loop.record_bytes(steps, self._whole.window)
        return record + 2 * steps * self._dtype.itemsize

    def _written(self, kept: Kept) -> list[np.ndarray | None]:
        return [kept.counts, kept.end, kept.steps, kept.record]

    def _call(
        self,
        name: str,
        found: Sequence[np.ndarray | None],
        out: Sequence[np.ndarray | None],
    ) -> None:
        call = getattr(self._program, name)
        call.argtypes, call.restype = _CALL, None
        read, written = (
            pointers(arrays, self._count) for arrays in ([*self._operands, *found], out)
        )
        sizes = np.array([self._count, read.shape[1], written.shape[1]])
        call(*(array.ctypes.data for array in (sizes, read, self._settings, written)))
