"""Equations to be written as C: functions of flat expressions, and the data that they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...problems import Problem
from ..mass.matrix import MassMatrix
from ..scipy.flat import flat_system
from .expressions import Expressions
from .symbolic_array import symbolic

#: Arrays of more numbers are handed to a program; of fewer the numbers are written in it. Zeros
#: and ones always are, as whatever is multiplied by them is simpler.
MOST_WRITTEN = 16


class Data:
    """Numbers that are known before a program runs, and handed to it behind the parameters.

    Parameters
    ----------
    make : Expressions
    first : int
        How many parameters there are.
    """

    def __init__(self, make: Expressions, first: int) -> None:
        self.make = make
        self._first = first
        self._known: list[np.ndarray] = []
        self._read: dict[int, tuple[Any, Any]] = {}

    def __call__(self, value: Any) -> Any:
        """A known array: as it is where it is small, or counts or chooses; else as inputs."""
        if id(value) not in self._read:
            # What is known by its address must live on.
            self._read[id(value)] = value, self._entered(np.asarray(value))
        return self._read[id(value)][1]

    def _entered(self, array: np.ndarray) -> Any:
        handed = ~np.isin(array, (0.0, 1.0, -1.0))
        if array.dtype.kind != "f" or handed.sum() <= MOST_WRITTEN:
            return array
        start = self._first + sum(known.size for known in self._known)
        read = array.astype(object)
        read[handed] = [self.make.input(f"p[{start + i}]") for i in range(handed.sum())]
        self._known.append(array[handed])
        return symbolic(self.make, read)

    @property
    def values(self) -> np.ndarray:
        """All that are handed over, flat."""
        return np.concatenate([np.zeros(0), *self._known])


@dataclass(frozen=True)
class Equations:
    """Functions of flat symbolic arrays.

    Attributes
    ----------
    n, m : int
        Numbers of states and of parameters.
    rhs : callable
        ``rhs(t, y, p, data)``; ``data(array)`` is what a known array is read as.
    jump : callable, optional
        ``jump(i, t, y, p, data)``.
    jumps : tuple of int
        The numbers of jumps that may act.
    loss : callable, optional
        ``loss(ys, p, data)`` of all saves, flat.
    mass : MassMatrix, optional
        ``M`` of ``M y' = rhs``.
    """

    n: int
    m: int
    rhs: Callable[..., Any]
    jump: Callable[..., Any] | None = None
    jumps: tuple[int, ...] = ()
    loss: Callable[..., Any] | None = None
    mass: MassMatrix | None = None


def equations_of(problem: Problem, jumps: tuple[int, ...]) -> Equations:
    """The equations of a problem, of whose jumps those with some numbers act."""
    system, saves = flat_system(problem), len(problem.save_at)

    def constants(data: Data) -> dict[str, Any]:
        return {name: data(value) for name, value in system.constants.items()}

    def loss(ys: Any, p: Any, data: Data) -> Any:
        return system.loss(ys.reshape((saves, system.n)), p, constants(data))

    return Equations(
        n=system.n,
        m=system.m,
        rhs=lambda t, y, p, data: system.rhs(t, y, p, constants(data)),
        jump=lambda i, t, y, p, data: system.jump(i, t, y, p, constants(data)),
        jumps=jumps,
        loss=loss,
    )
