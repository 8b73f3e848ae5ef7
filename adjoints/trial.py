"""Whether the equations of a problem run on a framework, found out by one call of each."""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from array_api_compat import array_namespace

from ..problems import Problem
from ..problems.functions import LABELS, framework_of
from ..problems.installing import how_to_install
from ..problems.moving_times import MovingTimes

#: The frameworks that can be tried; a problem ran on NumPy when it was made.
FRAMEWORKS = tuple(LABELS)

REMEDY = (
    "write it in the array API (xp = array_api_compat.array_namespace(y), then xp.sin, xp.stack, "
    "...), and take arrays from p, not from a closure"
)

#: ``call(t, ys, y, p)``, a function of the problem as a scalar.
Part = Callable[[Any, Any, Any, Mapping[str, Any]], Any]

_KNOWN: WeakKeyDictionary[Problem, dict[tuple[str, tuple[str, ...]], str]] = WeakKeyDictionary()


def why_not(problem: Problem, framework: str, only: tuple[str, ...] = ()) -> str:
    """Run the functions of `problem` and their derivatives on `framework`, once.

    Parameters
    ----------
    problem : Problem
    framework : {"jax", "torch"}
    only : tuple of str
        Names of the functions to be tried; all where empty.

    Returns
    -------
    str
        Empty where all is well, else one sentence: what does not run, where, and the remedy.
    """
    known = _KNOWN.setdefault(problem, {})
    if (framework, only) not in known:
        known[framework, only] = _found(problem, framework, only)
    return known[framework, only]


def _found(problem: Problem, framework: str, only: tuple[str, ...]) -> str:
    for name, function, _ in _parts(problem):
        written_for = framework_of(function)
        if written_for not in ("", framework) and (not only or name in only):
            return (
                f"{name} is written for {LABELS[written_for]}, and does not run on "
                f"{LABELS[framework]}; {REMEDY}"
            )
    try:
        run = _RUN[framework](problem)
    except ModuleNotFoundError:
        return f"{LABELS[framework]} is not installed; {how_to_install(framework)}"
    for name, function, call in _parts(problem):
        if only and name not in only:
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                run(name, call)
        except Exception as error:
            return _sentence(name, function, framework, error)
    return ""


def _parts(problem: Problem) -> Iterator[tuple[str, Callable[..., Any], Part]]:
    """The functions of a problem by name, each summed to one number."""
    yield "rhs", problem.rhs, lambda t, ys, y, p: _of_shape(problem.rhs(t, y, p), y).sum()
    yield "loss", problem.loss, lambda t, ys, y, p: problem.loss(ys, _seen(problem, t, p))
    jump, jacobian = problem.jump, problem.jacobian
    if jacobian is not None:
        yield "jacobian", jacobian, lambda t, ys, y, p: jacobian(t, y, p).sum()
    if jump is not None:
        yield "jump", jump, lambda t, ys, y, p: _of_shape(jump(0, t, y, p), y).sum()
    yield from _parts_of_stops(problem)


def _parts_of_stops(problem: Problem) -> Iterator[tuple[str, Callable[..., Any], Part]]:
    """The functions that tell when something happens, and what an event does."""
    for name, function in functions_of_stops(problem):
        if isinstance(function, MovingTimes):
            yield name, function.at, lambda t, ys, y, p, times=function: times.at(p).sum()
        else:
            yield name, function, lambda t, ys, y, p, f=function: f(t, y, p).sum()


def functions_of_stops(problem: Problem) -> Iterator[tuple[str, Any]]:
    """The same functions by name; times that move as they are declared."""
    for name in ("discontinuities", "jump_times"):
        times = getattr(problem, name)
        if isinstance(times, MovingTimes):
            yield name, times
    for event in problem.events:
        yield "when", event.when
        if event.jump is not None:
            yield "jump of an event", event.jump


def _seen(problem: Problem, t: Any, p: Mapping[str, Any]) -> dict[str, Any]:
    """What the loss gets, with events at the time `t`."""
    xp = array_namespace(t)
    times = xp.broadcast_to(t, (problem.max_events,))
    return {**p, **problem.events_seen_by_loss(times)}


def _of_shape(value: Any, y: Any) -> Any:
    if tuple(value.shape) != tuple(y.shape):
        raise ValueError(f"it returned shape {tuple(value.shape)} for y of {tuple(y.shape)}")
    return value


def _on_jax(problem: Problem) -> Callable[[str, Part], None]:
    import jax

    def run(name: str, part: Part) -> None:
        def value(params: Any, y: Any, ys: Any, t: Any, constants: Any) -> Any:
            return part(t, ys, y, {**params, **constants})

        with jax.enable_x64(problem.dtype == np.float64):
            arguments = jax.tree.map(jax.numpy.asarray, _arguments(problem))
            jax.eval_shape(jax.grad(value, argnums=(0, 1, 2)), *arguments)

    return run


def _on_torch(problem: Problem) -> Callable[[str, Part], None]:
    import torch

    from .scipy.torch_derivatives import RefusesNumbers
    from .torch.function_checks import check_closure

    def tensors(values: Any, differentiated: bool) -> Any:
        if isinstance(values, dict):
            return {name: tensors(value, differentiated) for name, value in values.items()}
        made = torch.tensor(values)
        return made.requires_grad_() if differentiated and made.is_floating_point() else made

    def called(part: Part, *, differentiated: bool) -> tuple[Any, list[Any]]:
        params, y, ys, t, constants = (
            tensors(value, differentiated and number < 3)
            for number, value in enumerate(_arguments(problem))
        )
        return part(t, ys, y, {**params, **constants}), [*params.values(), y, ys]

    def run(name: str, part: Part) -> None:
        with RefusesNumbers():
            value, wanted = called(part, differentiated=True)
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"it returned a {type(value).__name__}, not a tensor")
        if value.requires_grad:
            torch.autograd.grad(value, wanted, allow_unused=True)
        check_closure(name, lambda: called(part, differentiated=False)[0], (), CLOSURE)

    return run


#: What to do with tensors that would get no gradient.
CLOSURE = (
    "make the problem of a module with adjointbench.Problem.from_module, or put the tensors into "
    "params and take them from p; if they are not to be trained, detach them"
)

_RUN = {"jax": _on_jax, "torch": _on_torch}


def _arguments(problem: Problem) -> tuple[Any, ...]:
    """Parameters, state, saved states, time and constants, at the start."""
    ys = np.stack([problem.y0] * len(problem.save_at))
    t = np.asarray(problem.t_span[0], problem.dtype)
    return problem.params, problem.y0, ys, t, problem.constants


def _sentence(name: str, function: Callable[..., Any], framework: str, error: Exception) -> str:
    told = next(iter(str(error).splitlines()), "").rstrip(". ")
    if CLOSURE in told:
        return told
    what = f"{name} does not run on {LABELS[framework]}{_line(function, error)}"
    return f"{what} ({type(error).__name__}: {told[:160]}); {REMEDY}"


def _line(function: Callable[..., Any], error: Exception) -> str:
    """The line of the user's file at which it stopped."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        return ""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f" at line {lines[-1]} of {Path(file or '').name}" if lines else ""
