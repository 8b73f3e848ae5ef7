"""Ensembles: the gradient of the sum of many lanes' losses, by the number of lanes.

Every lane is the same problem with parameters of its own; the first has the problem's own, so that
its gradient is certified. A fit to many individuals and a batch of initial guesses look like this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....problems import Problem
from ..names import join_name, split_name
from ..row import Row

#: What rows of this study are marked with.
STUDY = "lanes"

PROBLEM, RTOL = "lotka_volterra", 1e-6

#: The parameters of the last lane are so much larger than those of the first.
SPREAD = 0.02

METHODS = (
    "jax-discrete",
    "torch-discrete",
    "diffrax-recursive-checkpoint",
    "torchode-autodiff",
    "gradsolve-record-replay",
)
QUICK_METHODS = ("jax-discrete", "diffrax-recursive-checkpoint")

NUMBERS, QUICK_NUMBERS = (1, 16, 256, 4096, 32768), (1, 256)

#: Seconds allowed for one method with one number of lanes.
TIMEOUT_S, QUICK_TIMEOUT_S = 300.0, 60.0


def lanes_of(problem: Problem, number: int) -> dict[str, Any]:
    """The parameters of so many lanes, with a leading axis."""
    return {
        name: np.multiply.outer(factors(number), value).astype(problem.dtype)
        for name, value in problem.params.items()
    }


def factors(number: int) -> np.ndarray:
    """What the parameters of each lane are multiplied by; 1 in the first."""
    return 1.0 + SPREAD * np.linspace(0.0, 1.0, number)


def method_of(name: str, number: int) -> str:
    """The method with so many lanes, as a name with settings."""
    return join_name(name, {"lanes": number})


def number_of(method: str) -> int:
    """How many lanes: the inverse of :func:`method_of`."""
    return int(split_name(method)[1]["lanes"])


def selected(names: Sequence[str], *, quick: bool) -> tuple[str, ...]:
    """The methods of the study, each with each number of lanes, among `names`."""
    bare = {split_name(name)[0] for name in names}
    methods = [name for name in (QUICK_METHODS if quick else METHODS) if name in bare]
    numbers = QUICK_NUMBERS if quick else NUMBERS
    return tuple(method_of(name, number) for name in methods for number in numbers)


def seconds_a_lane(row: Row) -> float | None:
    """Time of one gradient over the number of lanes."""
    return None if row.seconds is None else row.seconds / number_of(row.method)
