"""Which computations certify a problem: two that are independent, and one of the loss alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..problems import Problem
from ..problems.functions import framework_of
from .methods import get_method
from .options import models_of, takes_models

#: Up to this size the augmented system of forward sensitivities is integrated; of a stiff
#: problem its matrices are dense.
_LARGEST_FORWARD_SYSTEM = 20_000
_LARGEST_STIFF_FORWARD_SYSTEM = 600

_MAX_STEPS = 10_000_000
_TIGHT: dict[str, Any] = {"rtol": 1e-13, "atol": 1e-15, "max_steps": _MAX_STEPS}
#: Storage for steps is reserved on JAX.
_MANY_STEPS: dict[str, Any] = {"max_steps": 200_000}
#: Components of 1e-5, as in Robertson's problem, still get ten digits.
_TIGHT_STIFF: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-17, "max_steps": _MAX_STEPS}

_MULTISTEP_ADJOINT = {"method": "scipy-adjoint", "solver": "lsoda", **_TIGHT}
_MULTISTEP_STIFF = {"method": "scipy-adjoint", "solver": "lsoda", **_TIGHT_STIFF}

#: A one-step method on the forward sensitivity equations, in which nothing is interpolated or
#: integrated backwards, against a multistep method on the adjoint equations.
_SMALL = ({"method": "scipy-forward", "solver": "dop853", **_TIGHT}, _MULTISTEP_ADJOINT)
_SMALL_STIFF = ({"method": "scipy-forward", "solver": "radau", **_TIGHT_STIFF}, _MULTISTEP_STIFF)
#: The adjoint equations on SciPy against the derivative of the steps taken on JAX.
_LARGE = (
    {"method": "scipy-adjoint", "solver": "dop853", **_TIGHT},
    {"method": "jax-discrete", "solver": "dop853", **_TIGHT},
)
#: The same for stiff problems: a multistep method on the adjoint equations, and the derivative
#: of the steps of a Rosenbrock method. States are of the order of one.
_LARGE_STIFF = (
    {**_MULTISTEP_STIFF, "atol": 1e-15},
    {"method": "jax-discrete", "solver": "rodas5p", "rtol": 1e-11, "atol": 1e-16, **_MANY_STEPS},
)

#: For problems with events or times that move, in order of preference: of each backend the first
#: that takes the problem.
_TAKING = (
    _SMALL[0],
    {"method": "jax-discrete", "solver": "dop853", **_TIGHT, **_MANY_STEPS},
    {"method": "torch-discrete", "solver": "dop853", **_TIGHT, **_MANY_STEPS},
    _MULTISTEP_ADJOINT,
)
_TAKING_STIFF = (
    _SMALL_STIFF[0],
    _LARGE_STIFF[1],
    {**_LARGE_STIFF[1], "method": "torch-discrete"},
    _MULTISTEP_STIFF,
)
#: With a mass matrix: forward sensitivities by IDAS. On the transistor amplifier a tenth of `atol`
#: is below the rounding of its consistent derivatives, and a tenth of Rodas5P's `rtol` below that
#: of the steps. IDAS' solves without sensitivities go further.
_IDAS = {"method": "cvodes-forward", "solver": "idas", **_TIGHT}
_RODAS_WITH_MASS = {**_LARGE_STIFF[1], "rtol": 1e-10, "atol": 1e-15}
_TAKING_MASS = (
    {**_IDAS, "rtol": 1e-12, "atol": 1e-14},
    _RODAS_WITH_MASS,
    {**_RODAS_WITH_MASS, "method": "torch-discrete"},
)


def computations_for(problem: Problem) -> tuple[dict[str, Any], ...]:
    """The arguments of the two calls of ``gradient`` that certify `problem`."""
    if models_of(problem):
        return _computations_taking(problem)
    if framework_of(problem.rhs) == "torch":
        return tuple(_on_torch(options) for options in _computations(problem))
    return _computations(problem)


def _computations_taking(problem: Problem) -> tuple[dict[str, Any], ...]:
    """The first two that take what the problem has, on two backends where there are two.

    Raises
    ------
    ValueError
        Where fewer than two methods take it.
    """
    large = _LARGEST_STIFF_FORWARD_SYSTEM if problem.stiff else _LARGEST_FORWARD_SYSTEM
    candidates = _TAKING_STIFF if problem.stiff else _TAKING
    if problem.mass is not None:
        candidates = _TAKING_MASS
    able = [options for options in candidates if _takes(options, problem)]
    if _forward_size(problem) > large:
        able = [options for options in able if options["method"] != "scipy-forward"]
    if len(able) < 2:
        raise ValueError(
            f"problem {problem.name!r} has {' and '.join(models_of(problem))}, and fewer than two "
            "methods that could certify it take that"
        )
    first, *others = able
    elsewhere = [o for o in others if _backend(o) != _backend(first)]
    return first, (elsewhere or others)[0]


def _takes(options: Mapping[str, Any], problem: Problem) -> bool:
    method = get_method(options["method"])
    written_for = framework_of(problem.rhs)
    runs = method.takes("rhs", written_for) and method.takes("loss", framework_of(problem.loss))
    return runs and takes_models(method, problem)


def _backend(options: Mapping[str, Any]) -> str:
    return get_method(options["method"]).backend


def _on_torch(options: dict[str, Any]) -> dict[str, Any]:
    """The same computation for equations that run on PyTorch alone."""
    on_jax = options["method"] == "jax-discrete"
    return {**options, "method": "torch-discrete"} if on_jax else options


def _forward_size(problem: Problem) -> int:
    """How many equations state and forward sensitivities are."""
    return problem.n_states * (1 + problem.n_states + problem.n_params)


def _computations(problem: Problem) -> tuple[dict[str, Any], ...]:
    size = _forward_size(problem)
    if problem.stiff:
        # On a limit cycle the sensitivities grow with every period and change their signs: where
        # they pass zero no step of Radau is small enough.
        small = size <= _LARGEST_STIFF_FORWARD_SYSTEM and "oscillatory" not in problem.tags
        return _SMALL_STIFF if small else _LARGE_STIFF
    return _SMALL if size <= _LARGEST_FORWARD_SYSTEM else _LARGE


def without_derivatives(problem: Problem) -> tuple[dict[str, Any], ...]:
    """Two computations that call the equations on NumPy arrays alone."""
    tight = _TIGHT_STIFF if problem.stiff else _TIGHT
    return (
        {"method": "complex-step", "solver": "bdf" if problem.stiff else "dop853", **tight},
        {"method": "finite-difference", "solver": "lsoda", **tight},
    )


def loss_computation(problem: Problem, differentiable: bool) -> dict[str, Any]:
    """How the loss is computed many times over; the method only lends its Jacobian."""
    if problem.mass is not None:
        return _IDAS
    method = "scipy-adjoint" if differentiable else "finite-difference"
    if problem.stiff:
        return {"method": method, "solver": "lsoda", **_TIGHT_STIFF}
    return {"method": method, "solver": "dop853", **_TIGHT}
