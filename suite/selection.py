"""Which problems, methods and tolerances a run measures: a moderate part, a quick one, or all.

``ADJOINTBENCH_FULL=1`` takes everything, ``ADJOINTBENCH_QUICK=1`` the quick part, whose ladder of
tolerances, sizes and claims are the moderate part's too; ``adjointbench bench`` takes one of
these two, and plain asv the moderate part where neither is set.
``ADJOINTBENCH_PROBLEMS``, ``ADJOINTBENCH_METHODS`` and ``ADJOINTBENCH_DEVICES`` are lists of
names between commas, where settings may follow a name: ``van_der_pol(mu=10.0)``,
``jax-discrete(solver=kvaerno5)``. ``ADJOINTBENCH_SCALING`` lists the sizes of the scaling study
(see :mod:`.measuring.studies.scaling`), 0 for none. By default it is measured in the other two
parts, and the study of :mod:`.measuring.studies.checkpoints` in all, where
``ADJOINTBENCH_PROBLEMS`` does not ask for something else; ``ADJOINTBENCH_CHECKPOINTS=1`` asks for
the latter, and 0 for none; ``ADJOINTBENCH_LANES`` likewise for the ensembles of
:mod:`.measuring.studies.lanes`, and ``ADJOINTBENCH_SDE`` for the stochastic equations of
:mod:`.measuring.studies.sde`, which have methods of their own and are left out where
``ADJOINTBENCH_METHODS`` names others. So it is with ``ADJOINTBENCH_CLAIMS``, the numbers of claims
(see :mod:`adjointbench.suite.claims`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from .. import problems
from ..adjoints.arguments import check_name
from ..adjoints.methods import METHODS, get_method
from ..adjoints.options import takes_models
from .claims.tasks import OF_SCALING, chosen_claims, claim_tasks
from .measuring.error_bars import may_tell_its_error
from .measuring.job import Job
from .measuring.measure import LADDER, VERSION
from .measuring.names import get_problem, join_name, problem_name, split_list, split_name
from .measuring.quick import QUICK_ERROR_BARS, QUICK_LADDER, QUICK_METHODS
from .measuring.studies import checkpoints, lanes, neural, scaling, sde
from .measuring.studies.ensembles import LanesTask
from .measuring.studies.sde_task import SdeTask
from .measuring.task import Task

#: With other settings than the published ones.
VARIANTS = ("van_der_pol(mu=1000.0)",)

#: Two stiff classics, a trap, and a non-stiff classic; what takes longest comes first, so that no
#: core is left with it in the end.
QUICK_PROBLEMS = ("robertson", "van_der_pol(mu=1000.0)", "adaptive_ad_trap", "lotka_volterra")

#: Events and algebraic equations, which few of the quick methods take: the quick report shows them,
#: and asv, which asks every method about every problem, in the whole suite alone.
QUICK_REPORTED = ("threshold_dose", "robertson_dae")

#: What plain asv measures: our own ways to a gradient, with a peer on each side to tell a slower
#: machine from slower code; eleven minutes of processor time with all else that asv runs then.
MODERATE_PROBLEMS = ("lotka_volterra", "robertson", "adaptive_ad_trap")
MODERATE_METHODS = (
    "jax-discrete",
    "jax-forward",
    "jax-backsolve",
    "jax-gauss",
    "torch-discrete",
    "scipy-forward",
    "scipy-adjoint",
    "finite-difference",
    "diffrax-recursive-checkpoint",
    "cvodes-adjoint",
)

#: Where asv takes its own times, with its own statistics: each is a process that compiles anew.
TIMED_PROBLEMS, QUICK_TIMED_PROBLEMS = ("lotka_volterra", "pendulum"), ("lotka_volterra",)
QUICK_TIMED_METHODS = (
    "jax-discrete",
    "torch-discrete",
    "scipy-adjoint",
    "diffrax-recursive-checkpoint",
)

#: Seconds allowed for one method on one problem, all tolerances together.
TIMEOUT_S, QUICK_TIMEOUT_S = 1200.0, 240.0

#: Seconds of repeated calls behind each time.
BUDGET_S, QUICK_BUDGET_S = 0.5, 0.1


@dataclass(frozen=True)
class Selection:
    """The problems, methods, devices and tolerances of one run; sizes of its scaling; claims.

    ``reported`` are problems that are measured by the methods that take them, and shown in reports.
    """

    quick: bool
    problems: tuple[str, ...]
    methods: tuple[str, ...]
    devices: tuple[str, ...]
    sizes: tuple[int, ...] = ()
    scaling_methods: tuple[str, ...] = scaling.METHODS
    claims: tuple[str, ...] = ()
    checkpointed: tuple[str, ...] = ()
    lanes: tuple[str, ...] = ()
    stochastic: tuple[tuple[str, str], ...] = ()
    neural: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()

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
        for n, method in itertools.product(sorted(self.sizes, reverse=True), self.scaling_methods):
            if scaling.takes(method, n, quick=self.quick):
                yield scaling_job(n, method, self.quick)
        for method in self.checkpointed:
            yield checkpoint_job(method, self.quick)
        for method in self.lanes:
            yield lanes_task(method, self.quick)
        for problem, way in self.stochastic:
            yield sde_task(problem, way, self.quick)
        yield from map(neural.job, self.neural)
        for problem, device, method in itertools.product(self.problems, self.devices, self.methods):
            yield ladder_job(problem, method, device, self.quick)
        for problem, device, method in itertools.product(self.reported, self.devices, self.methods):
            if takes_models(get_method(split_name(method)[0]), get_problem(problem)):
                # Error bars of the others show what there is to show.
                yield replace(ladder_job(problem, method, device, self.quick), error_bars=False)


def ladder_job(problem: str, method: str, device: str, quick: bool) -> Job:
    """A method on a problem over the ladder of tolerances."""
    return Job(
        problem=problem,
        method=method,
        device=device,
        rtols=QUICK_LADDER if quick else LADDER,
        timeout_s=QUICK_TIMEOUT_S if quick else TIMEOUT_S,
        budget_s=QUICK_BUDGET_S if quick else BUDGET_S,
        error_bars=method in QUICK_ERROR_BARS if quick else may_tell_its_error(method),
    )


def scaling_job(n: int, method: str, quick: bool) -> Job:
    """A method of the scaling study on the problem with `n` points along a side."""
    return Job(
        problem=scaling.problem_of(n),
        method=method,
        rtols=(scaling.RTOL,),
        timeout_s=scaling.QUICK_TIMEOUT_S if quick else scaling.TIMEOUT_S,
        budget_s=QUICK_BUDGET_S if quick else BUDGET_S,
        atol_scale=scaling.ATOL / scaling.RTOL,
        # The study asks for gradients alone, and compiling the solve takes a fifth of its time.
        primal=False,
        study=scaling.STUDY,
    )


def checkpoint_job(method: str, quick: bool) -> Job:
    """A method of the study of checkpoints, with their number in its name."""
    return Job(
        problem=checkpoints.PROBLEM,
        method=method,
        rtols=(checkpoints.RTOL,),
        timeout_s=checkpoints.TIMEOUT_S,
        budget_s=QUICK_BUDGET_S if quick else BUDGET_S,
        study=checkpoints.STUDY,
    )


def lanes_task(method: str, quick: bool) -> LanesTask:
    """A method of the study of ensembles, with the number of lanes in its name."""
    return LanesTask(
        problem=lanes.PROBLEM,
        method=method,
        rtol=lanes.RTOL,
        timeout_s=lanes.QUICK_TIMEOUT_S if quick else lanes.TIMEOUT_S,
        budget_s=QUICK_BUDGET_S if quick else BUDGET_S,
        study=lanes.STUDY,
    )


def sde_task(problem: str, way: str, quick: bool) -> SdeTask:
    """A way of the study of stochastic equations on one of its problems."""
    return SdeTask(
        problem=problem,
        method=way,
        timeout_s=sde.TIMEOUT_S,
        budget_s=QUICK_BUDGET_S if quick else BUDGET_S,
        study=sde.STUDY,
        quick=quick,
    )


def selection() -> Selection:
    """What the environment variables ask for.

    Raises
    ------
    ValueError
        Where a name among them is unknown.
    """
    part = _part()
    methods = _methods(part.methods)
    sizes = _sizes(part.sizes)
    named = bool(os.environ.get("ADJOINTBENCH_METHODS"))
    everything = not (named or os.environ.get("ADJOINTBENCH_PROBLEMS"))
    return Selection(
        quick=part.quick,
        problems=_problems(part.problems),
        methods=methods,
        devices=tuple(os.environ.get("ADJOINTBENCH_DEVICES", "cpu").split(",")),
        sizes=sizes,
        scaling_methods=scaling.selected(methods) if named else scaling.METHODS,
        claims=_claims(bool(sizes or part.sizes)),
        checkpointed=(
            checkpoints.selected(methods, quick=part.quick) if _wanted("CHECKPOINTS") else ()
        ),
        lanes=lanes.selected(methods, quick=part.quick) if _wanted("LANES") else (),
        stochastic=sde.selected(quick=part.quick) if _wanted("SDE", named=named) else (),
        neural=neural.methods(quick=part.quick) if everything else (),
        reported=QUICK_REPORTED if everything and part.problems == QUICK_PROBLEMS else (),
    )


class _Part(NamedTuple):
    """What is measured where no variable names anything else, and whether quickly."""

    problems: tuple[str, ...]
    methods: tuple[str, ...]
    sizes: tuple[int, ...]
    quick: bool


def _part() -> _Part:
    full, quick = (
        os.environ.get(name, "") not in ("", "0")
        for name in ("ADJOINTBENCH_FULL", "ADJOINTBENCH_QUICK")
    )
    if full and quick:
        raise ValueError("ADJOINTBENCH_FULL and ADJOINTBENCH_QUICK are both set: unset one of them")
    if full:
        every = tuple(method.name for method in METHODS)
        return _Part((*problems.names(), *VARIANTS), every, scaling.SIZES, quick=False)
    if quick:
        return _Part(QUICK_PROBLEMS, QUICK_METHODS, scaling.QUICK_SIZES, quick=True)
    return _Part(MODERATE_PROBLEMS, MODERATE_METHODS, (), quick=True)


def _claims(of_scaling: bool) -> tuple[str, ...]:
    """The claims, that of the scaling study where it is asked for or the part has the study."""
    named = bool(os.environ.get("ADJOINTBENCH_CLAIMS"))
    return tuple(key for key in chosen_claims() if key != OF_SCALING or of_scaling or named)


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


def _wanted(study: str, *, named: bool = False) -> bool:
    """Whether a study is asked for, or nothing else is; `named` are methods that it lacks."""
    text = os.environ.get(f"ADJOINTBENCH_{study}", "")
    return text != "0" if text else not (named or os.environ.get("ADJOINTBENCH_PROBLEMS"))


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
