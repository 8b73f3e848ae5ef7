"""Which methods can take the equations of a problem, and what the others would need."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from ..problems import Problem
from ..problems.functions import LABELS, framework_of
from ..problems.torch_module import ModuleField
from .methods import METHODS
from .methods.method import Method
from .trial import functions_of_stops, why_not


def check_equations(problem: Problem, entry: Method) -> None:
    """Refuse a method that cannot take the functions of `problem`, and say what it would need.

    Whether they run on JAX is told by :func:`explained`, since building for JAX tries it.
    """
    for name, function in _functions(problem):
        if not entry.takes(name, framework_of(function)):
            raise ValueError(
                f"method={entry.name!r} does not take problem {problem.name!r}, whose {name} is "
                f"{_kind(function)}; use {_able(problem)}, or write it in the array API, with "
                "xp = array_api_compat.array_namespace(y)"
            )
    _refuse_untaken(problem, entry, "torch")


@contextlib.contextmanager
def explained(problem: Problem, entry: Method) -> Iterator[None]:
    """A context in which equations that do not run on JAX are refused in one sentence."""
    try:
        yield
    except Exception as error:
        _refuse_untaken(problem, entry, "jax", error)
        raise


def _refuse_untaken(
    problem: Problem, entry: Method, framework: str, error: Exception | None = None
) -> None:
    """Refuse a method where a function that it calls on `framework` does not run there."""
    needed = tuple(
        name
        for name, function in _functions(problem)
        if framework in (framework_of(function), *entry.arrays(name))
    )
    sentence = why_not(problem, framework, needed) if needed else ""
    if sentence:
        raise ValueError(
            f"method={entry.name!r} does not take problem {problem.name!r}: {sentence}; or "
            f"use {_able(problem, framework)}"
        ) from error


def _functions(problem: Problem) -> Iterator[tuple[str, Callable[..., Any]]]:
    yield "rhs", problem.rhs
    yield "loss", problem.loss
    if problem.jump is not None:
        yield "jump", problem.jump
    yield from functions_of_stops(problem)


def _kind(function: Any) -> str:
    """What a function is that is written for one framework, with the name to look for in it."""
    if isinstance(function.function, ModuleField):
        return "a torch.nn.Module"
    example = {"jax": "jnp.stack", "torch": "torch.stack"}[function.framework]
    return f"written for {LABELS[function.framework]} alone ({example} and the like)"


def _able(problem: Problem, failed: str = "") -> str:
    """The first method of each backend that may take `problem`; SciPy's where one has failed."""
    functions = [(name, framework_of(function)) for name, function in _functions(problem)]
    able = [
        method
        for method in METHODS
        if all(method.takes(*function) for function in functions)
        and not (failed and method.backend != "scipy")
    ]
    *others, last = {method.backend: method.name for method in reversed(able)}.values()
    return f"{', '.join(others)} or {last}" if others else last
