"""Equations as a compiled loop that an open solver may call, or why there is none."""

from __future__ import annotations

import ctypes
import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..steps.tableau import Tableau
from .compiler import NoCompilerError, loaded
from .equations import Equations
from .operands import window_of
from .source import source_of
from .translation import UntranslatableError

#: The solvers that a native loop has, by the kinds of their tableaus.
KINDS = ("explicit", "rosenbrock")

#: The numbers that it computes with.
REALS = ("float32", "float64")

#: Rows of the largest matrices that it factorizes unless it is asked to.
MOST_FACTORIZED = 100


@dataclass(frozen=True)
class NativeLoop:
    """A native program, known by its key.

    Attributes
    ----------
    key : int
        Of what it is made of, data aside.
    n, m : int
        Numbers of states and parameters.
    data_bytes, data : bytes, ndarray
        What it is handed behind the parameters.
    library : CDLL
    lanes : callable
        Gives the same program of trajectories side by side, compiled when it is first asked for.
    """

    key: int
    n: int
    m: int
    data_bytes: bytes
    data: np.ndarray = field(compare=False)
    library: ctypes.CDLL = field(compare=False)
    lanes: Callable[[], ctypes.CDLL] = field(compare=False)

    def window(self, max_steps: int, most_bytes: int) -> int:
        """How many steps of a solve fit in so much memory."""
        return window_of(self.library, max_steps, most_bytes)

    def lanes_or_one(self) -> ctypes.CDLL:
        """The program of many trajectories, or that of one where it does not compile."""
        try:
            return self.lanes()
        except NoCompilerError:
            return self.library

    def record_bytes(self, max_steps: int, window: int) -> int:
        """The size of the record of a solve."""
        return int(self.library.record_bytes(ctypes.c_long(max_steps), ctypes.c_long(window)))


@dataclass(frozen=True)
class Refused:
    """Why some equations have no native loop, and whether it lies in them that they have none."""

    reason: str
    of_equations: bool = True


def refused_of_numbers(
    n: int, sizes: Sequence[int], dtypes: Iterable[Any], dtype: Any, most: int | None
) -> Refused | None:
    """Why a solve cannot be native whatever its equations are, by the numbers that it has.

    Parameters
    ----------
    n : int
        Of states.
    sizes, dtypes : sequence
        Of the parameters.
    dtype : dtype
        Of the state.
    most : int, optional
        How many operations the right-hand side may have: each number is read by one.
    """
    size = n + sum(sizes)
    if most is not None and size > most:
        return Refused(f"it has {size} states and parameters, and more than {most}")
    if any(each != dtype for each in dtypes):
        return Refused(f"a parameter is not of the state's dtype, {dtype}")
    return None


def native_loop(
    equations: Equations, tableau: Tableau, dtype: Any, *, breaks: bool, most: int | None
) -> NativeLoop | Refused:
    """The loop of some equations: see :func:`.source.source_of`."""
    if str(dtype) not in REALS:
        return Refused(f"a state of {dtype}; it may be of {' or '.join(REALS)}")
    if most is not None and tableau.implicit and equations.n > MOST_FACTORIZED:
        return Refused(f"matrices of {equations.n} rows, which libraries factorize sooner")
    written = functools.partial(source_of, equations, tableau, dtype, breaks=breaks, most=most)
    try:
        source = written()
        library = loaded(source.text)
    except (UntranslatableError, NoCompilerError) as error:
        return Refused(str(error), isinstance(error, UntranslatableError))
    key = int(hashlib.sha256(source.text.encode()).hexdigest()[:15], 16)
    data = source.data
    lanes = functools.cache(lambda: loaded(written(lanes=True).text))
    return NativeLoop(key, equations.n, equations.m, data.tobytes(), data, library, lanes)


def refused_of(
    *, adjoint: str, kind: str, solver: str, platform: str, **asked: Any
) -> Refused | None:
    """Why a solve cannot be native whatever its equations are, if it cannot.

    Parameters
    ----------
    adjoint, kind, solver, platform : str
        Of the solve; the kind is its tableau's.
    **asked
        Arguments that a native loop knows nothing of, and whether they are given.
    """
    beyond = {
        f"adjoint={adjoint!r}": adjoint != "discrete",
        f"solver={solver!r}": kind not in KINDS,
        f"a solve on {platform!r}": platform != "cpu",
        **asked,
    }
    for name, is_asked in beyond.items():
        if is_asked:
            return Refused(f"{name} is nothing that a native loop does")
    return None
