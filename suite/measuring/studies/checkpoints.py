"""Memory against checkpoints: what a method keeps, and how long it takes, by how many it keeps.

With `k` checkpoints a discrete adjoint stores the state at `k` times of the forward solve and
computes the steps between two of them again, so that it keeps `k` states and the steps of one
window: the least near the square root of the number of steps, at the price of one more forward
solve. One problem of some hundred steps, at one tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..names import join_name, split_name
from ..row import Row

#: What rows of this study are marked with.
STUDY = "checkpoints"

#: Lotka–Volterra takes 380 steps of Tsit5 at this tolerance.
PROBLEM, RTOL = "lotka_volterra", 1e-9

#: Windows hold ``max_steps / checkpoints`` steps, so that this is part of the settings.
MAX_STEPS = 512

METHODS = ("jax-discrete", "jax-interpolating", "diffrax-recursive-checkpoint")
QUICK_METHODS = ("jax-discrete",)

NUMBERS, QUICK_NUMBERS = (2, 4, 8, 16, 32, 64, 128, 256), (2, 16, 128)

#: Seconds allowed for one method with one number of checkpoints.
TIMEOUT_S = 240.0


def method_of(name: str, number: int) -> str:
    """The method with that many checkpoints, as a name with settings."""
    return join_name(name, {"checkpoints": number, "max_steps": MAX_STEPS})


def number_of(method: str) -> int:
    """How many checkpoints: the inverse of :func:`method_of`."""
    return int(split_name(method)[1]["checkpoints"])


def selected(names: Sequence[str], *, quick: bool) -> tuple[str, ...]:
    """The methods of the study, each with each number of checkpoints, among `names`."""
    bare = {split_name(name)[0] for name in names}
    methods = [name for name in (QUICK_METHODS if quick else METHODS) if name in bare]
    numbers = QUICK_NUMBERS if quick else NUMBERS
    return tuple(method_of(name, number) for name in methods for number in numbers)


def pick(rows: Sequence[Row], method: str, number: int) -> Row | None:
    """The row of a method with so many checkpoints; ``None`` where it was not measured."""
    name = method_of(method, number)
    for row in rows:
        if row.study == STUDY and row.method == name:
            return row
    return None
