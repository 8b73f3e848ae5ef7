"""Rows that were measured before there was a reference, held against it once there is one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from ...adjoints.result import GradientResult
from ...problems import Problem
from ...problems.reference import Reference
from ..measuring.measure import with_errors
from ..measuring.row import Row


def judged(
    rows: Iterable[Row], problem: Problem, reference: Reference, *, certified: bool = True
) -> Iterator[Row]:
    """Those of `rows` that hold a gradient, with its errors.

    Against a certificate once and for all. What is held against measured gradients keeps its own,
    for the certificate that may come, and no error is called smaller than those are known to be.
    """
    for row in rows:
        if row.gradient is None:
            continue
        told = replace(row, referenced=True, agreement=reference.agreement)
        told = with_errors(told, reference, result_of(row, problem), problem.params)
        yield _bare(told) if certified else _at_least(told, reference.agreement)


def _bare(row: Row) -> Row:
    return replace(row, gradient=None, dy0_gradient=None)


def _at_least(row: Row, known: float) -> Row:
    names = ("error", "largest_component_error", "dy0_error", "loss_error")
    errors = {name: getattr(row, name) for name in names}
    return replace(row, **{n: e if e is None else max(e, known) for n, e in errors.items()})


def result_of(row: Row, problem: Problem) -> GradientResult:
    """The gradient that a row holds."""
    assert row.gradient is not None
    shapes = {name: value.shape for name, value in problem.params.items()}
    return GradientResult(
        loss=np.nan if row.loss is None else row.loss,
        dparams={n: np.reshape(v, shapes[n]) for n, v in row.gradient.items()},
        dy0=np.reshape(row.dy0_gradient or [], problem.y0.shape),
    )
