"""Measure one method on one problem over a ladder of tolerances."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from ...adjoints.gradient import Run, prepare
from ...adjoints.methods import get_method
from ...adjoints.options import may_compile
from ...adjoints.result import GradientResult
from ...problems import Problem
from ...problems.reference import Reference
from .errors import errors_against
from .ladder import typical_rtol
from .names import join_name, problem_name, split_name
from .row import Row, message_of
from .timing import Silence, time_run

#: Relative tolerances, loosest first.
LADDER = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10)

#: Absolute over relative tolerance, where nothing else is asked for.
ATOL_SCALE = 1e-3

#: Numbers of a gradient up to which a row may hold it.
LARGEST_KEPT = 1000

#: Raised when the meaning of a measured number changes: retires old benchmark results.
VERSION = 1


def measure_ladder(
    problem: Problem, method: str, rtols: Sequence[float] = LADDER, **options: Any
) -> list[Row]:
    """Measure `method` on `problem`: a list of the rows of :func:`iterate_ladder`."""
    return list(iterate_ladder(problem, method, rtols, **options))


def iterate_ladder(
    problem: Problem,
    method: str,
    rtols: Sequence[float] = LADDER,
    *,
    atol_scale: float = ATOL_SCALE,
    device: str = "cpu",
    budget_s: float = 0.2,
    silence: Silence = nullcontext,
    reference: Reference | None = None,
    also: Callable[[Run], Mapping[str, Any]] | None = None,
    keep_gradients: bool = False,
    primal: bool = True,
    **settings: Any,
) -> Iterator[Row]:
    """Measure `method` on `problem` tolerance by tolerance, yielding each row as it is made.

    Parameters
    ----------
    problem : Problem
    method : str
        A name of :func:`adjointbench.methods`; arguments of :func:`adjointbench.prepare` may
        follow in parentheses, as in ``"cvodes-adjoint(solver=cvodes-gmres)"``.
    rtols : sequence of float
        The ladder of relative tolerances. The one nearest to 1e-6 is measured first: its first
        call compiles, and the primal solve, to be compiled as well, is timed there only.
    atol_scale : float
        ``atol = atol_scale * rtol``.
    device : str
        Where to compute.
    budget_s : float
        Seconds of repeated calls behind each time.
    silence : callable
        Makes the context in which times are taken.
    reference : Reference, optional
        What the errors are taken against: the problem's own certified reference, where it has
        one, by default.
    also : callable, optional
        What else to look at where there is a gradient: its fields of a row are added.
    keep_gradients : bool
        Where there is no reference, keep small gradients, to be held against one later.
    primal : bool
        Time the primal solve as well.
    **settings
        Further arguments of :func:`adjointbench.prepare`; see :func:`prepare_to_measure`.

    Yields
    ------
    Row
    """
    name, given = split_name(method)
    truth = problem.reference if reference is None else reference
    at_typical = typical_rtol(rtols)

    def timed(run: Run) -> dict[str, Any]:
        beside = primal and run.settings.rtol == at_typical
        times = time_run(run, budget_s, silence, primal=beside)
        return {**times, **(also(run) if also else {})}

    refusal = ""
    for rtol in sorted(rtols, key=lambda rtol: rtol != at_typical):
        row = _about(problem, join_name(name, given), device, truth)
        row = replace(row, rtol=float(rtol), atol=float(rtol) * atol_scale)
        if refusal:
            yield replace(row, status="skipped", message=refusal)
            continue
        keep = keep_gradients and truth is None
        measured = _measure(problem, name, row, given | settings, truth, keep, timed)
        if measured.status == "skipped":
            refusal = measured.message
        yield measured


def prepare_to_measure(problem: Problem, method: str, **settings: Any) -> Run:
    """Prepare a gradient as a user would who calls it often.

    Where no native loop runs it, a method of PyTorch that can be compiled is, unless `settings`
    say otherwise.
    """
    run = prepare(problem, method, **settings)
    chosen = "compile" in settings or not may_compile(get_method(method), problem)
    if chosen or run.engine == "native":
        return run
    return prepare(problem, method, compile=True, **settings)


def _about(problem: Problem, method: str, device: str, reference: Reference | None) -> Row:
    """What is known before anything is computed, at no tolerance yet."""
    entry = get_method(split_name(method)[0])
    return Row(
        problem=problem_name(problem),
        method=method,
        family=entry.family,
        backend=entry.backend,
        device=device,
        rtol=math.nan,
        status="",
        referenced=reference is not None,
        problem_version=problem.version,
        settings=dict(problem.settings),
        method_version=entry.version,
        stiff=problem.stiff,
        tags=list(problem.tags),
        dtype=problem.dtype.name,
        n_states=problem.n_states,
        n_params=problem.n_params,
        agreement=reference.agreement if reference else None,
    )


def _measure(
    problem: Problem,
    method: str,
    row: Row,
    settings: dict[str, Any],
    reference: Reference | None,
    keep: bool,
    timed: Callable[[Run], Mapping[str, Any]],
) -> Row:
    """The row with what its tolerance gives: status, errors, times and counts."""
    assert row.atol is not None
    start = processor_time()
    try:
        run = prepare_to_measure(
            problem, method, rtol=row.rtol, atol=row.atol, device=row.device, **settings
        )
    except ValueError as refusal:
        return replace(row, status="skipped", message=str(refusal))
    except Exception as error:
        return _broken(row, "prepare", error)
    try:
        return _with_gradient(row, run, start, reference, keep, timed)
    except Exception as error:
        return _broken(row, "gradient", error)


def _with_gradient(
    row: Row,
    run: Run,
    start: float,
    reference: Reference | None,
    keep: bool,
    timed: Callable[[Run], Mapping[str, Any]],
) -> Row:
    result = run()
    row = replace(
        row,
        solver=run.settings.solver,
        status=result.status,
        phase=result.phase,
        message=result.message,
        loss=finite(result.loss),
        first_call_s=processor_time() - start,
        **vars(result.stats),
    )
    if result.status != "ok":
        return row
    if reference is not None:
        row = with_errors(row, reference, result, run.problem.params)
    elif keep and gradient_is_small(run.problem):
        gradient = {name: np.ravel(value).tolist() for name, value in result.dparams.items()}
        row = replace(row, gradient=gradient, dy0_gradient=np.ravel(result.dy0).tolist())
    return replace(row, **timed(run))


def with_errors(
    row: Row, reference: Reference, result: GradientResult, params: Mapping[str, np.ndarray]
) -> Row:
    """The row with the errors of its result."""
    errors = errors_against(reference, result, params)
    return replace(row, **{name: finite(value) for name, value in errors.items()})


def gradient_is_small(problem: Problem) -> bool:
    """Whether rows may hold a whole gradient."""
    return problem.n_params + problem.n_states <= LARGEST_KEPT


def processor_time() -> float:
    """Seconds of processor time of this process and of the compilers that it has run."""
    return sum(os.times()[:4])


def _broken(row: Row, phase: str, error: Exception) -> Row:
    """The row of a measurement that raised: failure is data."""
    told = message_of(error)
    return replace(row, status="failed", phase=phase, message=told, exception=True)


def finite(value: Any) -> float | None:
    """A finite float, or ``None``: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
