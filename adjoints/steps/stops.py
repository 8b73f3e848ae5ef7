"""The times at which a solve must stop: where its equations break or its state jumps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Stops:
    """When a solve stops, and what happens there.

    Attributes
    ----------
    times : tuple of float
        Distinct and increasing, numbers of the solve's dtype. The last is the end; the start is
        among them where something was declared there.
    first : int
        How many of them lie at the start.
    sided : tuple of bool
        For each time, whether the equations may differ before and after it.
    jumps : tuple of tuple of int
        For each time, the numbers of the jumps there, in the order in which they act.
    """

    times: tuple[float, ...]
    first: int
    sided: tuple[bool, ...]
    jumps: tuple[tuple[int, ...], ...]

    @property
    def breaks(self) -> bool:
        """Whether the equations may differ on the two sides of any time."""
        return any(self.sided)

    @property
    def acting(self) -> tuple[int, ...]:
        """The numbers of all jumps that may act, in order."""
        return tuple(sorted({i for numbers in self.jumps for i in numbers}))

    @property
    def jump_rows(self) -> np.ndarray:
        """The jumps at each time as a row of an array, filled up with -1; one column at least."""
        most = max(1, *map(len, self.jumps))
        rows = [(*numbers, *(-1,) * (most - len(numbers))) for numbers in self.jumps]
        return np.array(rows, np.int32)

    @property
    def at_start(self) -> tuple[int, ...]:
        """The numbers of the jumps at the start, which are the caller's to apply."""
        return self.jumps[0] if self.first else ()


def stops_between(
    discontinuities: Iterable[float],
    jump_times: Iterable[float],
    start: float,
    end: float,
    dtype: Any,
) -> Stops:
    """The stops of a solve from `start` to `end`; what was declared outside is left out.

    Parameters
    ----------
    discontinuities, jump_times : iterable of float
        In any order. Of several jumps at one time the first declared acts first.
    start, end : float
        Infinite where they are not known.
    dtype : dtype
        Of the solve: times are rounded to it before they are compared.

    Raises
    ------
    ValueError
        Where a time is not finite.
    """
    start, end = _rounded("start", [start], dtype)[0], _rounded("end", [end], dtype)[0]
    breaks = _rounded("discontinuities", discontinuities, dtype, finite=True)
    jumps = _rounded("jump_times", jump_times, dtype, finite=True)
    declared = {t for t in (*breaks, *jumps) if start <= t <= end}
    times = sorted(declared | {end})
    return Stops(
        times=tuple(times),
        first=sum(t <= start for t in times),
        sided=tuple(t in declared for t in times),
        jumps=tuple(tuple(i for i, at in enumerate(jumps) if at == t) for t in times),
    )


def check_jumps(jump_times: Any, jump: Callable[..., Any] | None) -> None:
    """Refuse times of jumps without a function for them, and the other way round."""
    given = len(list(jump_times)) > 0
    if given and jump is None:
        raise ValueError("jump_times is given without jump; pass both or neither")
    if jump is not None and not given:
        raise ValueError("jump is given without jump_times; pass both or neither")


def _rounded(
    argument: str, times: Iterable[float], dtype: Any, *, finite: bool = False
) -> list[float]:
    values = np.array([float(t) for t in times], dtype)
    if finite and not np.isfinite(values).all():
        raise ValueError(f"{argument} has {values.tolist()}; every time must be finite")
    return values.tolist()
