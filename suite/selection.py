"""Which problems, methods and tolerances a run measures: everything, or a quick part.

Environment variables narrow it: ``ADJOINTBENCH_QUICK=1`` takes the quick part,
``ADJOINTBENCH_PROBLEMS``, ``ADJOINTBENCH_METHODS`` and ``ADJOINTBENCH_DEVICES`` are lists of
names between commas, where settings may follow a name: ``van_der_pol(mu=10.0)``,
``jax-discrete(solver=kvaerno5)``. ``ADJOINTBENCH_SCALING`` lists the sizes of the scaling study
(see :mod:`.measuring.studies.scaling`), 0 for none. By default it is measured, and so is the
study of :mod:`.measuring.studies.checkpoints`, where ``ADJOINTBENCH_PROBLEMS`` does not ask for
something else; ``ADJOINTBENCH_CHECKPOINTS=1`` asks for the latter, and 0 for none;
``ADJOINTBENCH_LANES`` likewise for the ensembles of :mod:`.measuring.studies.lanes`. So it is with
``ADJOINTBENCH_CLAIMS``, the numbers of claims (see :mod:`adjointbench.suite.claims`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass

from .. import problems
from ..adjoints.arguments import check_name
from ..adjoints.methods import METHODS
from .claims.tasks import OF_SCALING, chosen_claims, claim_tasks
from .measuring.job import Job
from .measuring.measure import LADDER, VERSION
from .measuring.names import get_problem, join_name, problem_name, split_list, split_name
from .measuring.quick import QUICK_LADDER, QUICK_METHODS
from .measuring.studies import checkpoints, lanes, scaling
from .measuring.studies.ensembles import LanesTask
from .measuring.task import Task

#: With other settings than the published ones.
VARIANTS = ("van_der_pol(mu=1000.0)",)

#: Two stiff classics, a trap, and a non-stiff classic; what takes longest comes first, so that no
#: core is left with it in the end.
QUICK_PROBLEMS = ("robertson", "van_der_pol(mu=1000.0)", "adaptive_ad_trap", "lotka_volterra")

#: Where asv takes its own times, with its own statistics: each is a process that compiles anew.
TIMED_PROBLEMS, QUICK_TIMED_PROBLEMS = ("lotka_volterra", "pendulum"), ("lotka_volterra",)
QUICK_TIMED_METHODS = (
    "jax-discrete",
    "torch-discrete",
    "scipy-adjoint",
    "diffrax-recursive-checkpoint",
)
TIMED_RTOL = 1e-6

#: Seconds allowed for one method on one problem, all tolerances together.
TIMEOUT_S, QUICK_TIMEOUT_S = 1200.0, 240.0

#: Seconds of repeated calls behind each time.
BUDGET_S, QUICK_BUDGET_S = 0.5, 0.1


@dataclass(frozen=True)
class Selection:
    """The problems, methods, devices and tolerances of one run; sizes of its scaling; claims."""

    quick: bool
    problems: tuple[str, ...]
    methods: tuple[str, ...]
    devices: tuple[str, ...]
    sizes: tuple[int, ...] = ()
    scaling_methods: tuple[str, ...] = scaling.METHODS
    claims: tuple[str, ...] = ()
    checkpointed: tuple[str, ...] = ()
    lanes: tuple[str, ...] = ()

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

    def jobs(self) -> Iterator[Task]:
        """Claims and studies, then every method on every problem on every device."""
        own = [key for key in self.claims if key != OF_SCALING or not self.sizes]
        yield from claim_tasks(own, self.quick)
        yield from self._scaling_jobs()
        yield from self._checkpoint_jobs()
        yield from self._lanes_tasks()
        for problem, device, method in itertools.product(self.problems, self.devices, self.methods):
            yield Job(
                problem=problem,
                method=method,
                device=device,
                rtols=self.rtols,
                timeout_s=QUICK_TIMEOUT_S if self.quick else TIMEOUT_S,
                budget_s=QUICK_BUDGET_S if self.quick else BUDGET_S,
            )

    def _scaling_jobs(self) -> Iterator[Job]:
        largest_first = sorted(self.sizes, reverse=True)
        for n, method in itertools.product(largest_first, self.scaling_methods):
            yield Job(
                problem=scaling.problem_of(n),
                method=method,
                device="cpu",
                rtols=(scaling.RTOL,),
                timeout_s=scaling.QUICK_TIMEOUT_S if self.quick else scaling.TIMEOUT_S,
                budget_s=QUICK_BUDGET_S if self.quick else BUDGET_S,
                atol_scale=scaling.ATOL / scaling.RTOL,
                study=scaling.STUDY,
            )

    def _checkpoint_jobs(self) -> Iterator[Job]:
        for method in self.checkpointed:
            yield Job(
                problem=checkpoints.PROBLEM,
                method=method,
                device="cpu",
                rtols=(checkpoints.RTOL,),
                timeout_s=checkpoints.TIMEOUT_S,
                budget_s=QUICK_BUDGET_S if self.quick else BUDGET_S,
                study=checkpoints.STUDY,
            )

    def _lanes_tasks(self) -> Iterator[LanesTask]:
        for method in self.lanes:
            yield LanesTask(
                problem=lanes.PROBLEM,
                method=method,
                numbers=lanes.QUICK_NUMBERS if self.quick else lanes.NUMBERS,
                rtol=lanes.RTOL,
                timeout_s=lanes.QUICK_TIMEOUT_S if self.quick else lanes.TIMEOUT_S,
                budget_s=QUICK_BUDGET_S if self.quick else BUDGET_S,
                study=lanes.STUDY,
            )


def selection() -> Selection:
    """What the environment variables ask for.

    Raises
    ------
    ValueError
        Where a name among them is unknown.
    """
    quick = os.environ.get("ADJOINTBENCH_QUICK", "") not in ("", "0")
    methods = _methods(QUICK_METHODS if quick else tuple(method.name for method in METHODS))
    named = bool(os.environ.get("ADJOINTBENCH_METHODS"))
    return Selection(
        quick=quick,
        problems=_problems(QUICK_PROBLEMS if quick else (*problems.names(), *VARIANTS)),
        methods=methods,
        devices=tuple(os.environ.get("ADJOINTBENCH_DEVICES", "cpu").split(",")),
        sizes=_sizes(scaling.QUICK_SIZES if quick else scaling.SIZES),
        scaling_methods=scaling.selected(methods) if named else scaling.METHODS,
        claims=chosen_claims(),
        checkpointed=checkpoints.selected(methods, quick=quick) if _wanted("CHECKPOINTS") else (),
        lanes=lanes.selected(methods, quick=quick) if _wanted("LANES") else (),
    )


def _problems(default: tuple[str, ...]) -> tuple[str, ...]:
    variable = "ADJOINTBENCH_PROBLEMS"
    names = split_list(os.environ.get(variable, "")) or default
    for name in names:
        check_name(variable, split_name(name)[0], problems.names())
    return tuple(problem_name(get_problem(name)) for name in names)


def _methods(default: tuple[str, ...]) -> tuple[str, ...]:
    variable = "ADJOINTBENCH_METHODS"
    parts = [split_name(name) for name in split_list(os.environ.get(variable, "")) or default]
    for name, _ in parts:
        check_name(variable, name, tuple(method.name for method in METHODS))
    return tuple(join_name(name, options) for name, options in parts)


def _wanted(study: str) -> bool:
    text = os.environ.get(f"ADJOINTBENCH_{study}", "")
    return text != "0" if text else not os.environ.get("ADJOINTBENCH_PROBLEMS")


def _sizes(default: tuple[int, ...]) -> tuple[int, ...]:
    text = os.environ.get("ADJOINTBENCH_SCALING", "")
    if not text:
        return () if os.environ.get("ADJOINTBENCH_PROBLEMS") else default
    try:
        sizes = {int(part) for part in text.split(",")} - {0}
    except ValueError:
        sizes = {0}
    if sizes and min(sizes) < 2:
        raise ValueError(
            f"ADJOINTBENCH_SCALING={text!r} must be sizes from 2 on between commas, as in 2,3,5, "
            "or 0 for none"
        )
    return tuple(sorted(sizes))


def results_version() -> str:
    """The version of everything that is measured: another one retires old benchmark results.

    It counts how often a problem's definition or a method's numbers were changed on purpose, so
    that a new problem or method leaves the results of the others alone.
    """
    problem = sum(problems.get(name).version - 1 for name in problems.names())
    method = sum(method.version - 1 for method in METHODS)
    return f"{VERSION}.{problem}.{method}"
