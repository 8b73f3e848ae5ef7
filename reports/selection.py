"""Which problems, methods and tolerances a run measures: everything, or a quick part.

Environment variables narrow it: ``ADJOINTBENCH_QUICK=1`` takes the quick part,
``ADJOINTBENCH_PROBLEMS``, ``ADJOINTBENCH_METHODS`` and ``ADJOINTBENCH_DEVICES`` are lists of
names between commas.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .. import problems
from ..adjoints.methods import METHODS, check_name
from .measure import LADDER, VERSION

#: A stiff classic, a trap, and a non-stiff classic; what takes longest comes first, so that no
#: core is left with it in the end.
QUICK_PROBLEMS = ("robertson", "adaptive_ad_trap", "lotka_volterra")

#: One of each kind, and the peers a user would pick instead.
QUICK_METHODS = (
    "diffrax-backsolve",
    "diffrax-recursive-checkpoint",
    "jax-gauss",
    "jax-discrete",
    "jax-forward",
    "jax-backsolve",
    "finite-difference",
    "scipy-adjoint",
    "scipy-forward",
)

QUICK_LADDER = (1e-3, 1e-6, 1e-9)

#: Where asv takes its own times, with its own statistics: each is a process that compiles anew.
TIMED_PROBLEMS, QUICK_TIMED_PROBLEMS = ("lotka_volterra", "pendulum"), ("lotka_volterra",)
QUICK_TIMED_METHODS = ("jax-discrete", "scipy-adjoint", "diffrax-recursive-checkpoint")
TIMED_RTOL = 1e-6

#: Seconds allowed for one method on one problem, all tolerances together.
TIMEOUT_S, QUICK_TIMEOUT_S = 1200.0, 240.0

#: Seconds of repeated calls behind each time.
BUDGET_S, QUICK_BUDGET_S = 0.5, 0.1


@dataclass(frozen=True)
class Job:
    """One method on one problem on one device, over a ladder of tolerances."""

    problem: str
    method: str
    device: str
    rtols: tuple[float, ...]
    timeout_s: float
    budget_s: float
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """Problem, method and device: what tells one job from another."""
        return self.problem, self.method, self.device


@dataclass(frozen=True)
class Selection:
    """The problems, methods, devices and tolerances of one run."""

    quick: bool
    problems: tuple[str, ...]
    methods: tuple[str, ...]
    devices: tuple[str, ...]

    @property
    def rtols(self) -> tuple[float, ...]:
        """The ladder of relative tolerances."""
        return QUICK_LADDER if self.quick else LADDER

    @property
    def timed_problems(self) -> tuple[str, ...]:
        """The problems on which asv takes its own times."""
        return QUICK_TIMED_PROBLEMS if self.quick else TIMED_PROBLEMS

    @property
    def timed_methods(self) -> tuple[str, ...]:
        """The methods of which asv takes its own times."""
        return QUICK_TIMED_METHODS if self.quick else self.methods

    def jobs(self) -> Iterator[Job]:
        """Every method on every problem on every device, problem by problem."""
        for problem, device, method in itertools.product(self.problems, self.devices, self.methods):
            yield Job(
                problem=problem,
                method=method,
                device=device,
                rtols=self.rtols,
                timeout_s=QUICK_TIMEOUT_S if self.quick else TIMEOUT_S,
                budget_s=QUICK_BUDGET_S if self.quick else BUDGET_S,
            )


def selection() -> Selection:
    """What the environment variables ask for.

    Raises
    ------
    ValueError
        Where a name among them is unknown.
    """
    quick = os.environ.get("ADJOINTBENCH_QUICK", "") not in ("", "0")
    known_methods = tuple(method.name for method in METHODS)
    return Selection(
        quick=quick,
        problems=_listed(
            "ADJOINTBENCH_PROBLEMS", problems.names(), QUICK_PROBLEMS if quick else None
        ),
        methods=_listed("ADJOINTBENCH_METHODS", known_methods, QUICK_METHODS if quick else None),
        devices=tuple(os.environ.get("ADJOINTBENCH_DEVICES", "cpu").split(",")),
    )


def _listed(
    variable: str, known: tuple[str, ...], default: tuple[str, ...] | None
) -> tuple[str, ...]:
    text = os.environ.get(variable, "")
    if not text:
        return default or known
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        check_name(variable, name, known)
    return names


def results_version() -> str:
    """The version of everything that is measured: another one retires old benchmark results.

    It counts how often a problem's definition or a method's numbers were changed on purpose, so
    that a new problem or method leaves the results of the others alone.
    """
    problem = sum(problems.get(name).version - 1 for name in problems.names())
    method = sum(method.version - 1 for method in METHODS)
    return f"{VERSION}.{problem}.{method}"
