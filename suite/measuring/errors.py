"""How far a gradient is from the certified one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np

from ...adjoints.result import GradientResult
from ...problems import Problem
from ...problems.reference import Reference

#: Errors are kept inside these bounds wherever a logarithm is taken: asv cannot publish infinity.
SMALLEST_ERROR, LARGEST_ERROR = 1e-17, 1e3

#: An error whose square overflows is called this.
OVERFLOW = 1e150

#: A method that says ``ok`` with a larger error than this is called wrong.
WRONG = 0.1

#: Below this an error is rounding, and says nothing about the order of a method.
ROUNDING = 1e-12


def log10_error(error: float | None) -> float:
    """log10 of an error, inside finite bounds; the upper bound where there is none.

    Parameters
    ----------
    error : float or None
        A relative error; ``None`` or NaN where the computation broke down.

    Returns
    -------
    float
        Between -17 and 3.
    """
    if error is None or np.isnan(error):
        error = LARGEST_ERROR
    return float(np.log10(np.clip(error, SMALLEST_ERROR, LARGEST_ERROR)))


def relative_error(value: np.ndarray, reference: np.ndarray) -> float:
    """``||value - reference|| / ||reference||``, absolute where the reference is zero.

    Finite where `value` is: at most :data:`OVERFLOW`.
    """
    value, reference = np.ravel(value), np.ravel(reference)
    norm = np.linalg.norm(reference)
    with np.errstate(over="ignore"):
        error = np.linalg.norm(value - reference) / (norm if norm > 0 else 1.0)
    return min(float(error), OVERFLOW)


class GradientErrors(TypedDict):
    """Errors of a parameter gradient against the certified one."""

    #: Relative error of the log-parameter gradient, ``||p (g - g*)|| / ||p g*||``, as parameters
    #: may differ by many orders of magnitude; the plain one where every ``p g*`` is zero.
    error: float
    #: The largest relative error among the components of ``g*`` that are not zero.
    largest_component_error: float
    #: Of the angle between ``p g`` and ``p g*``.
    cosine: float


class Errors(GradientErrors):
    """The same, and the relative errors of ``dL/dy0`` and of the loss."""

    dy0_error: float
    loss_error: float


def gradient_errors(
    gradient: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    params: Mapping[str, np.ndarray],
) -> GradientErrors:
    """Errors of a parameter gradient against the certified one.

    Parameters
    ----------
    gradient, reference, params : mapping of str to ndarray
        The gradient, the certified gradient and the parameters, of the same names and shapes.
    """
    g, g_ref, p = (_concatenate(a, reference) for a in (gradient, reference, params))
    scale = p if np.any(p * g_ref) else np.ones_like(p)
    present = g_ref != 0
    component = np.abs(g - g_ref)[present] / np.abs(g_ref[present])
    return {
        "error": relative_error(scale * g, scale * g_ref),
        "largest_component_error": float(component.max()) if component.size else 0.0,
        "cosine": _cosine(scale * g, scale * g_ref),
    }


def errors_against(
    reference: Reference, result: GradientResult, params: Mapping[str, np.ndarray]
) -> Errors:
    """All errors of a result against a certified reference."""
    return {
        **gradient_errors(result.dparams, reference.dparams, params),
        "dy0_error": relative_error(result.dy0, reference.dy0),
        "loss_error": relative_error(np.asarray(result.loss), np.asarray(reference.loss)),
    }


def as_reference(problem: Problem, found: GradientResult, **known: Any) -> Reference:
    """A measured gradient in the place of a certified one; `known` are further fields."""
    fields: dict[str, Any] = {
        "settings": dict(problem.settings),
        "agreement": 0.0,
        "worst_component": 0.0,
        "computations": (),
        "versions": {},
        "date": "",
        "command": "",
        "definition_hash": "",
    }
    return Reference(
        problem=problem.name,
        loss=found.loss,
        dparams=found.dparams,
        dy0=found.dy0,
        **{**fields, **known},
    )


def _concatenate(arrays: Mapping[str, np.ndarray], order: Mapping[str, object]) -> np.ndarray:
    parts = [np.ravel(np.asarray(arrays[name], dtype=np.float64)) for name in order]
    return np.concatenate(parts) if parts else np.zeros(0)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = (x / (np.abs(x).max(initial=0.0) or 1.0) for x in (a, b))
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norms) if norms > 0 else float(np.array_equal(a, b))
