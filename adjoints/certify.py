"""Certified references: two computations that agree, and differences of the loss that confirm it.

The two are independent, at the tightest tolerance; what neither can see, a third check does
(:mod:`.directions`).
"""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import problems
from ..problems import Problem
from ..problems.reference import Reference
from .certified_by import computations_for, loss_computation, without_derivatives
from .directions import UnseenDerivativeError, compare_with_loss
from .error_bars.distance import relative_distance
from .gradient import gradient
from .result import GradientResult
from .witness import witness_of

#: What two computations should agree to, wherever double precision allows it.
TARGET = 1e-8


class CertificationError(RuntimeError):
    """A computation broke down, so there is nothing to certify."""


class ContradictionError(CertificationError):
    """The loss itself contradicts the two computations, or has no slope that could be known."""


@dataclass(frozen=True)
class Difference:
    """How far two gradients of one problem are apart, relative.

    Attributes
    ----------
    loss, dparams, dy0 : float
        Of the loss; of the log-parameter gradient ‖p∘(g - g*)‖₂ / ‖p∘g*‖₂; of the gradient with
        respect to the start value in the 2-norm.
    worst_component : float
        The largest of one component of either gradient, however small the component.
    """

    loss: float
    dparams: float
    dy0: float
    worst_component: float

    @property
    def largest(self) -> float:
        """The largest of loss, dparams and dy0."""
        return max(self.loss, self.dparams, self.dy0)


def certify(
    problem: Problem,
    *,
    loosened: float = 1.0,
    differentiable: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Reference:
    """Compute the gradient of `problem` twice, independently, and confirm it by the loss itself.

    Forward sensitivities by DOP853 (Radau for stiff problems) against adjoint equations by
    LSODA, both with error control on what they differentiate. Where states times parameters are
    too many for that, and for stiff oscillations: adjoint equations on SciPy, by DOP853 or for
    stiff problems by LSODA, against the discrete adjoint on JAX, by DOP853 or Rodas5P. For problems
    with events, times that move or a mass matrix: two methods that take them, on two backends. Then
    the loss is differenced along random directions of each array of parameters and of the start
    value, by DOP853, LSODA or IDAS, in about 10 solves a direction and 32 at most: a derivative
    that no sensitivity or adjoint equation sees, as that by a time at which the equations switch
    undeclared, is found there. Last, a gradient that estimates its own error is one more witness
    (:mod:`.witness`), where that takes little of the time. A problem in float32 is solved in
    float64 from its float32 values.

    Parameters
    ----------
    problem : Problem
    loosened : float
        Factor on the tolerances, where the tightest are too much for a problem.
    differentiable : bool
        Whether to ask for derivatives of the equations. Otherwise complex steps by DOP853
        (BDF for stiff problems) are set against finite differences by LSODA: some digits fewer.
    progress : callable, optional
        Called with one line before each computation.

    Returns
    -------
    Reference
        The values of the first computation; see its ``agreement``. Store it with
        :func:`~adjointbench.problems.reference.write_reference`.

    Raises
    ------
    CertificationError
        Where a computation breaks down.
    ContradictionError
        Where the loss changes in another way than the gradient says, or in no way that
        differences could tell.
    """
    in_double, began = problem.with_dtype(np.float64), time.perf_counter()
    pair = computations_for(problem) if differentiable else without_derivatives(problem)
    computations = tuple(_loosen(options, loosened) for options in pair)
    results = []
    for options in computations:
        if progress is not None:
            progress(f"{problem.name}: {_describe(options)}")
        results.append(_compute(in_double, options))
    first, second = results
    difference = _difference(in_double.params, second, first)
    by_loss = _loosen(loss_computation(problem, differentiable), loosened)
    if progress is not None:
        progress(f"{problem.name}: differences of the loss by {by_loss['solver']}")
    try:
        confirmed = compare_with_loss(in_double, first, by_loss, difference.largest)
    except UnseenDerivativeError as error:
        raise ContradictionError(str(error)) from error
    seconds = time.perf_counter() - began
    witness = witness_of(in_double, first, difference.largest, seconds) if differentiable else None
    return Reference(
        problem=problem.name,
        settings=problem.settings,
        loss=first.loss,
        dparams=first.dparams,
        dy0=first.dy0,
        agreement=difference.largest,
        worst_component=difference.worst_component,
        computations=tuple(
            {**options, "loss": result.loss, "steps": result.stats.steps}
            for options, result in zip(computations, results, strict=True)
        ),
        versions=_versions(),
        date=datetime.date.today().isoformat(),
        command=_command(problem),
        definition_hash=problem.definition_hash(),
        loss_disagreement=confirmed.disagreement,
        loss_error=confirmed.error,
        loss_computation={**by_loss, "solves": confirmed.solves},
        witness=witness,
    )


def compare(found: Reference, stored: Reference) -> Difference:
    """How far a new certificate is from the stored one of the same problem and settings."""
    params = problems.get(stored.problem, **stored.settings).params
    return _difference(params, found, stored)


def _loosen(options: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """The same computation at other tolerances, round numbers still."""
    scaled = {name: float(f"{factor * options[name]:.6g}") for name in ("rtol", "atol")}
    return {**options, **scaled}


def _compute(problem: Problem, options: Mapping[str, Any]) -> GradientResult:
    result = gradient(problem, **options)
    if result.status != "ok":
        raise CertificationError(
            f"{problem.name}: {_describe(options)} ended with status {result.status!r} in the "
            f"{result.phase} pass: {result.message}"
        )
    return result


def _describe(options: Mapping[str, Any]) -> str:
    return f"{options['method']} by {options['solver']} at rtol {options['rtol']:g}"


def _difference(
    params: Mapping[str, np.ndarray],
    found: GradientResult | Reference,
    true: GradientResult | Reference,
) -> Difference:
    p, g, g_true = (_flat(arrays, params) for arrays in (params, found.dparams, true.dparams))
    components = np.hstack([g, np.ravel(found.dy0)]), np.hstack([g_true, np.ravel(true.dy0)])
    scale = np.where(components[1] == 0, 1.0, np.abs(components[1]))
    return Difference(
        loss=_relative(np.asarray(found.loss), np.asarray(true.loss)),
        dparams=_relative(p * g, p * g_true),
        dy0=_relative(found.dy0, true.dy0),
        worst_component=float(np.max(np.abs(components[0] - components[1]) / scale)),
    )


def _flat(arrays: Mapping[str, np.ndarray], order: Mapping[str, object]) -> np.ndarray:
    return np.hstack([np.zeros(0), *(np.ravel(arrays[name]) for name in order)])


def _relative(found: np.ndarray, true: np.ndarray) -> float:
    """Relative difference in the 2-norm, absolute where the true value is zero."""
    return float(relative_distance([found], [true]))


def _versions() -> dict[str, str]:
    packages = ("numpy", "scipy", "jax", "torch", "casadi")
    installed = (p for p in packages if importlib.util.find_spec(p))
    return {"python": platform.python_version()} | {
        p: importlib.metadata.version(p) for p in installed
    }


def _command(problem: Problem) -> str:
    """The command that recomputes and compares the reference."""
    defaults = problems.entry(problem.name).defaults if problem.name in problems.names() else {}
    settings = problem.settings.items()
    changed = [f" --set {key}={value}" for key, value in settings if value != defaults.get(key)]
    return f"adjointbench certify {problem.name}{''.join(changed)}"
