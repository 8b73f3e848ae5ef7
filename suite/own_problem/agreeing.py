"""A reference from what was measured, where no time was left for a certificate.

Two of the methods, of different kinds and different libraries, at the tightest tolerance, and
differences of the loss, which see what neither may see. It is known to no more than the two, and
the differences, agree.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

from ...adjoints.methods import get_method
from ...problems import Problem
from ...problems.reference import Reference
from ..measuring.errors import Errors, as_reference, errors_against
from ..measuring.names import split_name
from ..measuring.row import Row
from .judging import result_of

#: Kinds that integrate forward sensitivities, and that take differences of the whole solve.
_FORWARD, _DIFFERENCES = ("sensitivities", "forward"), ("finite-difference",)

#: What they must all agree to.
AGREED = 1e-3

#: The loosest tolerance at which a method is believed.
_LOOSEST = 1e-6


def agreeing(rows: Iterable[Row], problem: Problem) -> Reference | None:
    """The two measured gradients that agree best, if they do and differences confirm them.

    Parameters
    ----------
    rows : iterable of Row
        Those that hold gradients count.
    problem : Problem

    Returns
    -------
    Reference or None
    """
    tightest = _tightest(rows)
    forward = [row for row in tightest if _kind(row) in _FORWARD]
    differences = [row for row in tightest if _kind(row) in _DIFFERENCES]
    adjoints = [row for row in tightest if _is_adjoint(row)]
    found = [
        _reference(first, second, differences, problem)
        for first, second in itertools.product(forward, adjoints)
        if differences and _library(first) != _library(second)
    ]
    best = min(found, key=lambda reference: reference.agreement, default=None)
    return best if best is not None and best.agreement < AGREED else None


def _tightest(rows: Iterable[Row]) -> list[Row]:
    """The tightest row of each method that holds a gradient at a tolerance to be believed."""
    found: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: -row.rtol):
        if row.status == "ok" and row.gradient is not None and row.rtol <= _LOOSEST:
            found[row.method] = row
    return list(found.values())


def _kind(row: Row) -> str:
    return get_method(split_name(row.method)[0]).adjoint


def _is_adjoint(row: Row) -> bool:
    """Whether it goes back in time, along the solution that was kept."""
    method = get_method(split_name(row.method)[0])
    others = (*_FORWARD, *_DIFFERENCES, "complex-step")
    return not method.goes_back and method.adjoint not in others


def _library(row: Row) -> str:
    method = get_method(split_name(row.method)[0])
    return method.library or method.backend


def _reference(first: Row, second: Row, differences: Iterable[Row], problem: Problem) -> Reference:
    made = as_reference(
        problem,
        result_of(first, problem),
        computations=tuple(_computation(row) for row in (first, second)),
        definition_hash=problem.definition_hash(),
    )
    apart = _apart(made, second, problem)
    by_loss = min(_largest(_apart(made, row, problem)) for row in differences)
    return dataclasses.replace(
        made,
        agreement=max(_largest(apart), by_loss),
        worst_component=apart["largest_component_error"],
        loss_disagreement=by_loss,
        loss_error=0.0,
    )


def _apart(reference: Reference, row: Row, problem: Problem) -> Errors:
    return errors_against(reference, result_of(row, problem), problem.params)


def _largest(errors: Errors) -> float:
    """Of the parameters, the start value and the loss."""
    return max(errors["error"], errors["dy0_error"], errors["loss_error"])


def _computation(row: Row) -> dict[str, Any]:
    return {
        "method": row.method,
        "solver": row.solver,
        "rtol": row.rtol,
        "atol": row.atol,
        "loss": row.loss,
    }
