"""What may be asked of a method: its options, solvers and devices, and the packages it needs."""

from __future__ import annotations

import importlib.util
from typing import Any

from ..problems import Problem
from ..problems.installing import how_to_install
from ..problems.moving_times import moves
from .arguments import check_name
from .mass.solvers import NOT_WITH_MASS
from .methods import METHODS
from .methods.method import MODELS, SOLVERS_WITH_MASS, Method
from .regularizers.regularizer import Regularizer


def check_supported(entry: Method, **asked: Any) -> None:
    """Refuse optional arguments that the method cannot honour, and name methods that can.

    What is ``None`` was not asked for.
    """
    for option, value in asked.items():
        if value is not None and option not in entry.supports:
            able = [m.name for m in METHODS if option in m.supports]
            raise ValueError(
                f"{option}={value!r} is not supported by method={entry.name!r}; "
                f"leave it out, or use one of: {', '.join(able)}"
            )


def models_of(problem: Problem) -> tuple[str, ...]:
    """Which of :data:`~.methods.method.MODELS` the problem has."""
    found = {
        "events": bool(problem.events),
        "moving times": moves(problem),
        "mass": problem.mass is not None,
    }
    return tuple(name for name, has in found.items() if has)


def takes_models(entry: Method, problem: Problem) -> bool:
    """Whether a method can take what the problem has besides smooth equations."""
    return {*models_of(problem)} <= entry.models


def may_compile(entry: Method, problem: Problem) -> bool:
    """Whether ``compile=True`` may be asked: eager loops alone meet events and mass matrices."""
    return "compile" in entry.supports and not models_of(problem)


def check_model(problem: Problem, entry: Method, regularizer: Regularizer | None) -> None:
    """Refuse a method that cannot take what the problem has, and name methods that can."""
    has = models_of(problem)
    if lacking := [name for name in has if name not in entry.models]:
        able = [m.name for m in METHODS if takes_models(m, problem)]
        raise ValueError(
            f"method={entry.name!r} does not take problem {problem.name!r}, which has "
            f"{' and '.join(MODELS[name] for name in lacking)}; use one of: {', '.join(able)}"
        )
    if "mass" in has and len(has) > 1:
        raise ValueError(f"problem {problem.name!r}: {NOT_WITH_MASS}")
    if has and regularizer is not None:
        raise ValueError(
            f"regularizer={regularizer.name!r} is for problems without events, moving times and "
            f"mass matrices, and problem {problem.name!r} has {MODELS[has[0]]}; leave it out"
        )


def check_regularizer(entry: Method, regularizer: Regularizer | None) -> None:
    """Refuse what a method cannot see, or cannot differentiate."""
    if regularizer is None or entry.regularizes(regularizer):
        return
    able = ", ".join(m.name for m in METHODS if m.regularizes(regularizer))
    reason = "differentiates through its equations, on JAX or PyTorch"
    if regularizer.terms:
        reason = "is made of the solver's own steps, which only a discrete adjoint sees"
    raise ValueError(
        f"regularizer={regularizer.name!r} is not supported by method={entry.name!r}: it "
        f"{reason}; leave it out, or use one of: {able}"
    )


def check_error_bar(error_bar: bool | str, regularizer: Regularizer | None) -> None:
    """Refuse an error bar of no known kind, or of a loss that depends on the steps themselves."""
    if error_bar not in (True, False, "joined"):
        raise ValueError(
            f"error_bar={error_bar!r} must be True (halved steps), False, or 'joined' (pairs of "
            "steps joined: cheaper, and a rougher estimate)"
        )
    if error_bar and regularizer is not None and regularizer.terms:
        raise ValueError(
            f"regularizer={regularizer.name!r} is made of the solver's own steps: on finer ones it "
            "is another loss, whose gradient tells nothing of this one's error; leave error_bar "
            "and gradient_rtol out, or the regularizer"
        )


def choose_solver(problem: Problem, entry: Method, solver: str | None) -> str:
    """The solver asked for, or the method's own for the problem."""
    if solver is not None:
        check_name("solver", solver, entry.solvers)
    if "mass" in entry.models and problem.mass is not None:
        return _solver_with_mass(problem, entry, solver)
    if solver is not None:
        return solver
    if not problem.stiff:
        return entry.solvers[0]
    if entry.stiff_solver is None:
        able = ", ".join(m.name for m in METHODS if m.stiff)
        raise ValueError(
            f"solver=None asks for an implicit solver, as problem {problem.name!r} is stiff, and "
            f"method={entry.name!r} has only explicit ones; pass solver={entry.solvers[0]!r} to "
            f"try an explicit one all the same, or use one of: {able}"
        )
    return entry.stiff_solver


def _solver_with_mass(problem: Problem, entry: Method, solver: str | None) -> str:
    able = [name for name in entry.solvers if name in SOLVERS_WITH_MASS]
    if solver is not None and solver not in able:
        raise ValueError(
            f"solver={solver!r} takes no mass matrix, which problem {problem.name!r} has; use one "
            f"of: {', '.join(able)}"
        )
    return solver or able[0]


def check_installed(entry: Method) -> None:
    """Refuse a method whose packages are not there."""
    for package in entry.requires:
        if importlib.util.find_spec(package) is None:
            extra = {"jax": "jax", "torch": "torch", "scipy": "jax"}.get(package, "peers")
            raise ValueError(
                f"method={entry.name!r} needs the package {package}, which is not installed; "
                f"{how_to_install(extra)}"
            )


def check_device_name(entry: Method, device: str) -> str:
    """The name of a device, refused where it is none, or none for the method."""
    kind, _, index = str(device).partition(":")
    if kind not in ("cpu", "gpu", "cuda") or (":" in str(device) and not index.isdigit()):
        raise ValueError(
            f"device={device!r} is not known; use 'cpu', 'gpu', 'cuda', or one of several by "
            "its number, as 'cuda:1'"
        )
    if "device" not in entry.supports and kind != "cpu":
        raise ValueError(f"device={device!r}: method={entry.name!r} runs on 'cpu' only")
    return str(device)
