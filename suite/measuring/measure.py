"""Measure one method on one problem over a ladder of tolerances."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...adjoints.gradient import Run, prepare
from ...adjoints.methods import get_method
from ...adjoints.result import GradientResult
from ...problems import Problem
from ...problems.reference import Reference, find_reference
from .errors import gradient_errors, relative_error
from .ladder import typical_rtol
from .names import get_problem, join_name, problem_name, split_name
from .timing import Silence, time_run

#: Relative tolerances, loosest first.
LADDER = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10)

#: Absolute over relative tolerance, where nothing else is asked for.
ATOL_SCALE = 1e-3

#: Raised when the meaning of a measured number changes: retires old benchmark results.
VERSION = 1


def measure_ladder(
    problem: Problem, method: str, rtols: Sequence[float] = LADDER, **options: Any
) -> list[dict[str, Any]]:
    """Measure `method` on `problem`: a list of the rows of :func:`iterate_ladder`.

    Parameters
    ----------
    problem, method, rtols, **options
        As for :func:`iterate_ladder`.

    Returns
    -------
    list of dict
        One row a tolerance.
    """
    return list(iterate_ladder(problem, method, rtols, **options))


def rows_of_job(job: Mapping[str, Any], silence: Silence) -> Iterator[dict[str, Any]]:
    """The rows of a :class:`~adjointbench.suite.selection.Job`, in a measuring process."""
    problem = get_problem(job["locator"] or job["problem"])
    if job["as_stiff"]:
        problem = replace(problem, stiff=True)
    path = job["references"]
    _import_packages(split_name(job["method"])[0])
    yield from iterate_ladder(
        problem,
        job["method"],
        job["rtols"],
        reference=find_reference(
            problem.name, problem.definition_hash, Path(path) if path else None
        ),
        atol_scale=job["atol_scale"],
        device=job["device"],
        budget_s=job["budget_s"],
        silence=silence,
    )


def _import_packages(method: str) -> None:
    """Import what a method needs, so that the time of its first call is not that of importing."""
    for package in get_method(method).requires:
        with suppress(ImportError):
            importlib.import_module(package)


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
    **settings: Any,
) -> Iterator[dict[str, Any]]:
    """Measure `method` on `problem` tolerance by tolerance, yielding each row as it is made.

    Parameters
    ----------
    problem : Problem
    method : str
        A name of :func:`adjointbench.methods`; arguments of :func:`adjointbench.prepare` may
        follow in parentheses, as in ``"cvodes-adjoint(solver=cvodes-gmres)"``.
    rtols : sequence of float
        The ladder of relative tolerances.
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
    **settings
        Further arguments of :func:`adjointbench.prepare`; see :func:`compiled_where_possible`.

    Yields
    ------
    dict
        ``status`` is a status of :class:`~adjointbench.adjoints.result.GradientResult`, or
        ``"skipped"`` where the method refuses the problem: its own sentence is then the
        ``message``. An exception is a row as well, of status ``"failed"`` and with
        ``exception`` true. The errors are ``None`` where there is no reference or no gradient,
        the times where there is no gradient. The primal solve, which needs to be compiled as
        well, is timed at the tolerance nearest to 1e-6 only, which is measured first.
        ``first_call_s`` is the processor time until the first gradient, compilation included,
        also by compilers that run beside; at the other tolerances a method may use the program
        that it has.
    """
    name, given = split_name(method)
    truth = problem.reference if reference is None else reference
    about = _about(problem, name, device, truth) | {"method": join_name(name, given)}
    at_typical = typical_rtol([{"rtol": rtol} for rtol in rtols])

    def timed(run: Run) -> dict[str, float]:
        return time_run(run, budget_s, silence, primal=run.settings.rtol == at_typical)

    refusal = ""
    # The typical tolerance first: its first call compiles, and others may share the program.
    for rtol in sorted(rtols, key=lambda rtol: rtol != at_typical):
        row = about | {"rtol": float(rtol), "atol": float(rtol) * atol_scale}
        if refusal:
            yield row | {"status": "skipped", "message": refusal}
            continue
        measured = _measure(problem, name, row, given | settings, truth, timed)
        if measured["status"] == "skipped":
            refusal = measured["message"]
        yield row | measured


def compiled_where_possible(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of :func:`adjointbench.prepare`, with what benchmarks choose by themselves.

    A method that can be compiled is, as a user would who calls it often, unless `settings` say
    otherwise: ``"torch-discrete(compile=False)"`` is the eager one.
    """
    chosen = {"compile": True} if "compile" in get_method(method).supports else {}
    return chosen | dict(settings)


def _about(
    problem: Problem, method: str, device: str, reference: Reference | None
) -> dict[str, Any]:
    entry = get_method(method)
    return {
        "problem": problem_name(problem),
        "problem_version": problem.version,
        "settings": dict(problem.settings),
        "method_version": entry.version,
        "family": entry.family,
        "backend": entry.backend,
        "device": device,
        "stiff": problem.stiff,
        "tags": list(problem.tags),
        "dtype": problem.dtype.name,
        "n_states": problem.n_states,
        "n_params": problem.n_params,
        "referenced": reference is not None,
        "agreement": reference.agreement if reference else None,
    }


def _measure(
    problem: Problem,
    method: str,
    row: dict[str, Any],
    settings: dict[str, Any],
    reference: Reference | None,
    timed: Callable[[Run], dict[str, float]],
) -> dict[str, Any]:
    """What one tolerance gives: status, errors, times and counts."""
    start = processor_time()
    try:
        run = prepare(
            problem,
            method,
            rtol=row["rtol"],
            atol=row["atol"],
            device=row["device"],
            **compiled_where_possible(method, settings),
        )
    except ValueError as refusal:
        return {"status": "skipped", "message": str(refusal)}
    except Exception as error:
        return _broken("prepare", error)
    try:
        return _gradient_row(run, start, reference, timed)
    except Exception as error:
        return _broken("gradient", error)


def _gradient_row(
    run: Run,
    start: float,
    reference: Reference | None,
    timed: Callable[[Run], dict[str, float]],
) -> dict[str, Any]:
    result = run()
    row = {
        "solver": run.settings.solver,
        "status": result.status,
        "phase": result.phase,
        "message": result.message,
        "loss": _number(result.loss),
        "first_call_s": processor_time() - start,
        **asdict(result.stats),
    }
    if result.status == "ok":
        row |= _errors(run.problem, result, reference) | timed(run)
    return row


def _errors(
    problem: Problem, result: GradientResult, reference: Reference | None
) -> dict[str, float | None]:
    if reference is None:
        return {}
    errors = gradient_errors(result.dparams, reference.dparams, problem.params) | {
        "dy0_error": relative_error(result.dy0, reference.dy0),
        "loss_error": relative_error(np.asarray(result.loss), np.asarray(reference.loss)),
    }
    return {name: _number(value) for name, value in errors.items()}


def processor_time() -> float:
    """Seconds of processor time of this process and of the compilers that it has run."""
    return sum(os.times()[:4])


def _broken(phase: str, error: Exception) -> dict[str, Any]:
    """The row of a measurement that raised: failure is data."""
    return {
        "status": "failed",
        "phase": phase,
        "message": f"{type(error).__name__}: {error}".splitlines()[0][:300],
        "exception": True,
    }


def _number(value: float) -> float | None:
    """A finite float, or ``None``: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
