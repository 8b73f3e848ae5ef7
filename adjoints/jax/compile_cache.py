"""Programs compiled ahead of time, each once, as one kernel where XLA can."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import jax

from ...problems import Problem
from ..program import Settings
from .one_kernel import no_single_kernels, one_kernel, single_kernels
from .reads import note_changes, reads_of


class Built(NamedTuple):
    """A compiled program and the seconds that it took to build."""

    call: Callable[..., Any]
    compile_s: float


#: What was compiled for a problem, by everything that is not an argument of the program.
_built: WeakKeyDictionary[Problem, dict[Any, Built]] = WeakKeyDictionary()


def static_settings(settings: Settings) -> Settings:
    """The settings without the numbers that are arguments of the program."""
    return replace(
        settings,
        rtol=0.0,
        atol=0.0,
        adjoint_rtol=0.0,
        adjoint_atol=0.0,
        first_step=None if settings.first_step is None else 0.0,
        coefficient=(),
    )


def build(
    problem: Problem,
    key: tuple[Any, ...],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    device: Any,
) -> Built:
    """`function` compiled for `arguments`, or what was compiled for the same `key` before.

    Parameters
    ----------
    problem : Problem
        What is compiled lives as long as the problem does.
    key : tuple
        Everything that tells `function` from another one for the same problem.
    function : callable
    arguments : tuple of pytree
        Examples: their shapes and types count.
    device : Device
    """
    with single_kernels(device) as allowed:
        return built_once(problem, (key, allowed), lambda: _compile_as_one(function, arguments))


def built_once(problem: Problem, key: Any, make: Callable[[], Callable[..., Any]]) -> Built:
    """What `make` compiles, or what it compiled for the same problem and `key` before.

    As long as what the problem's functions read has not changed.
    """
    known, functions = _built.setdefault(problem, {}), _functions(problem)
    before = [reads_of(function) for function in functions]
    found = known.get((key, *before))
    if found is None:
        begin = time.perf_counter()
        call = make()
        found = Built(call, time.perf_counter() - begin)
        for function, reads in zip(functions, before, strict=True):
            note_changes(function, reads)
        known[(key, *map(reads_of, functions))] = found
    return found


def _functions(problem: Problem) -> list[Callable[..., Any]]:
    found = (problem.rhs, problem.loss, problem.jump, problem.jacobian)
    return [function for function in found if function is not None]


def _compile_as_one(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[..., Any]:
    try:
        return _compile(one_kernel(function), arguments)
    except jax.errors.JaxRuntimeError:
        # What XLA cannot emit as one kernel, for a reason that is not known beforehand.
        with no_single_kernels():
            return _compile(function, arguments)


def _compile(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[..., Any]:
    return jax.jit(function).lower(*arguments).compile()
