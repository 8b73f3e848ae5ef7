"""The calls of a native loop, on NumPy arrays: see ``calls.c``."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .loop import NativeLoop
from .operands import Whole, pointers

_CALL = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


@dataclass(frozen=True)
class Kept:
    """What a solve leaves to the calls that follow.

    ``counts`` are status, accepted steps and attempts; ``steps`` has rows of start and size, of
    which those that were taken are written.
    """

    counts: np.ndarray
    end: np.ndarray
    steps: np.ndarray
    record: np.ndarray

    @property
    def status(self) -> int:
        """Index into :data:`~adjointbench.adjoints.result.STATUSES`."""
        return int(self.counts[0])

    @property
    def accepted(self) -> int:
        """How many steps were accepted."""
        return int(self.counts[1])

    @property
    def attempts(self) -> int:
        """How many steps were tried."""
        return int(self.counts[2])


class Calls:
    """A solve, its pull-back and its estimates.

    Parameters
    ----------
    loop : NativeLoop
    whole : Whole
    operands : sequence of ndarray
        Contiguous, in the order of ``calls.c``.
    """

    def __init__(self, loop: NativeLoop, whole: Whole, operands: Sequence[np.ndarray]) -> None:
        self._loop, self._whole = loop, whole
        self._operands = list(operands)
        self._settings = whole.array
        self._dtype = operands[0].dtype

    def solve(self) -> tuple[np.ndarray, Kept]:
        """The saves, flat, and what the other calls read."""
        whole = self._whole
        ys = np.empty(whole.saves * self._loop.n, self._dtype)
        kept = Kept(
            np.empty(3, np.int32),
            np.empty(1, self._dtype),
            np.empty((whole.max_steps, 2), self._dtype),
            np.empty(self._loop.record_bytes(whole.max_steps, whole.window), np.uint8),
        )
        self._call("solve", [], [ys, *self._written(kept)])
        return ys, kept

    def pull_back(
        self, kept: Kept, dys: np.ndarray, dtotals: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The cotangents of start and parameters, from those of the saves and the estimates."""
        out = [np.empty(size, self._dtype) for size in (self._loop.n, self._loop.m)]
        self._call("pull_back", [*self._written(kept), dys, dtotals], out)
        return out[0], out[1]

    def estimates(self, kept: Kept) -> np.ndarray:
        """The estimates of error, of its square, and of stiffness."""
        totals = np.empty(3, self._dtype)
        self._call("estimates", self._written(kept), [totals])
        return totals

    def bytes_kept(self, kept: Kept) -> int:
        """The bytes that a solve left behind."""
        steps = kept.accepted
        record = self._loop.record_bytes(steps, self._whole.window)
        return record + 2 * steps * self._dtype.itemsize

    def _written(self, kept: Kept) -> list[np.ndarray | None]:
        return [kept.counts, kept.end, kept.steps, kept.record]

    def _call(
        self,
        name: str,
        found: Sequence[np.ndarray | None],
        out: Sequence[np.ndarray | None],
    ) -> None:
        call = getattr(self._loop.library, name)
        call.argtypes, call.restype = _CALL, None
        read, written = pointers([*self._operands, *found]), pointers(out)
        call(read.ctypes.data, self._settings.ctypes.data, written.ctypes.data)
