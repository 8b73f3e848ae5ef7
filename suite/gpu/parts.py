"""What is measured on a device, the most important first.

The first run on a card has minutes: so the order is by what a reader would miss most, and the two
frameworks take turns as seldom as that allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...adjoints.methods import METHODS
from ..claims.tasks import ClaimTask
from ..measuring.job import Job
from ..measuring.names import get_problem, join_name, problem_name
from ..measuring.row import ClaimRow
from ..measuring.task import Task
from .device_task import DeviceTask
from .lanes import Lanes
from .on_device import OnDevice
from .studies import AGREEMENT, LANES, NETWORKS, SWEEP
from .sweeps import WAYS, Sweep

#: Seconds that one part may take, the start of its process included.
TIMEOUT_S = 90.0

#: Systems at once; on a CPU, where only the script is tried, few.
NUMBERS, FEW = (1_000, 100_000, 100, 10_000), (4,)

#: Eager: what is compiled has a part of its own, as compiling takes long.
TORCH = "torch-discrete(compile=False)"

_FIRST = ("jax-discrete", "diffrax-recursive-checkpoint", TORCH, "torchdiffeq-adjoint")
_NETWORKS = (*_FIRST, "torchdiffeq-backprop")
_LANES = ("jax-discrete", "diffrax-recursive-checkpoint")
_TOGETHER = (TORCH, "torchdiffeq-adjoint", "torchdiffeq-backprop")

_HERE = "adjointbench.suite.gpu.problems:"


def parts(device: str) -> tuple[Task, ...]:
    """All parts for a device; on a CPU one of each kind, in small sizes."""
    small = device.startswith("cpu")
    found = (
        *_agreement(("lotka_volterra", "robertson"), _FIRST),
        *_networks(small),
        *_lanes(FEW if small else NUMBERS[:2], small),
        *_sweeps(small),
        _claim(),
        *_lanes(() if small else NUMBERS[2:], small),
        *(() if small else (*_agreement(("lotka_volterra",), _others()), *_ladders())),
    )
    tried = _one_of_each(found) if small else found
    return tuple(_placed(task, device) for task in tried)


def _placed(task: Task, device: str) -> Task:
    """The task on a device; a claim chooses its own."""
    here = {} if isinstance(task, ClaimTask) else {"device": device}
    budget = {"budget_s": 0.05} if device.startswith("cpu") and isinstance(task, DeviceTask) else {}
    return replace(task, timeout_s=TIMEOUT_S, **here, **budget)


def _one_of_each(tasks: tuple[Task, ...]) -> Iterator[Task]:
    """The first task of every study in either framework."""
    seen = set()
    for task in tasks:
        key = (task.study, backend_of(task), type(task))
        if key not in seen:
            yield task
            seen.add(key)


def backend_of(task: Task) -> str:
    """The framework whose process a task is for."""
    return task.backend if isinstance(task, DeviceTask) else _backend(task.method) or "jax"


def _backend(method: str) -> str:
    return next((m.backend for m in METHODS if method.startswith(m.name)), "")


def _agreement(names: tuple[str, ...], methods: tuple[str, ...]) -> Iterator[Task]:
    for name in names:
        stiff = get_problem(name).stiff
        for method in methods:
            entry = next(m for m in METHODS if m.name == method.partition("(")[0])
            if entry.stiff or not stiff:
                yield OnDevice(problem=name, method=method, study=AGREEMENT)


def _others() -> tuple[str, ...]:
    """All further methods that can be asked for a device."""
    named = {name.partition("(")[0] for name in _FIRST}
    able = [m for m in METHODS if "device" in m.supports and m.name not in named]
    eager = {m.name: join_name(m.name, {"compile": False}) for m in able if "compile" in m.supports}
    return (*(eager.get(m.name, m.name) for m in able), "torch-discrete")


def _networks(small: bool) -> Iterator[Task]:
    batch = 8 if small else 512
    spirals = problem_name(get_problem(f"two_spirals(batch={batch}, dtype=float32)"))
    settings = {"batch": batch, "hidden": 10, "pixels": 49} if small else {}
    images = join_name("images", settings)
    loose = {"rtol": 1e-4, "atol_scale": 1e-2, "study": NETWORKS}
    for method in _NETWORKS:
        yield OnDevice(problem=spirals, method=method, **loose)
    for method in _NETWORKS:
        yield OnDevice(problem=images, locator=_HERE + images, method=method, **loose)
    default = join_name("images", settings | {"matmul": "default"})
    yield OnDevice(
        problem=default, locator=_HERE + images, method="jax-discrete", matmul="default", **loose
    )


def _lanes(numbers: tuple[int, ...], small: bool) -> Iterator[Task]:
    for number in numbers:
        for name in ("lotka_volterra",) if small else ("lotka_volterra", "robertson"):
            problem = join_name(name, {"lanes": number})
            for method in _LANES:
                # A peer takes more steps than the slots that ours fill a card's memory with.
                slots = 512 if method == "jax-discrete" else 4096
                yield Lanes(
                    problem=problem, method=method, lanes=number, max_steps=slots, study=LANES
                )
        together = join_name("lotka_volterra_lanes", {"lanes": number})
        for method in _TOGETHER:
            yield OnDevice(problem=together, locator=_HERE + together, method=method, study=LANES)


def _sweeps(small: bool) -> Iterator[Task]:
    systems = [join_name("lotka_volterra_lanes", {"lanes": n}) for n in (4, 8, 16)]
    for problem in ("lotka_volterra", "robertson", *systems):
        for way in WAYS:
            method = join_name("jax-discrete", {"sweep": way})
            place = _HERE + problem if problem in systems else ""
            yield Sweep(problem=problem, method=method, locator=place, study=SWEEP)


def _claim() -> Task:
    """Whether it is slow on GPUs because kernels do not fuse."""
    return ClaimTask(problem="claim 23", study=ClaimRow.study, keys=("23",), quick=True)


def _ladders() -> Iterator[Task]:
    """Ladders of tolerances, as of any device."""
    for name in ("lotka_volterra", "robertson"):
        for method in _FIRST[:3]:
            yield Job(problem=name, method=method, rtols=(1e-4, 1e-6, 1e-8), budget_s=0.3)
