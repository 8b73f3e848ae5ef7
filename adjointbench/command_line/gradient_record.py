"""The record of one gradient for ``adjointbench gradient``, and how it is printed."""

from __future__ import annotations

import math
import timeit
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from .output import console, table

if TYPE_CHECKING:
    from adjointbench.adjoints.gradient import Run
    from adjointbench.adjoints.result import GradientResult

#: Rows of the table of components; the JSON has them all.
_MOST_ROWS = 24

_VERDICTS = {
    "right": "[green]right[/]: within {error:.1e} of the certified gradient",
    "wrong": "[red]WRONG[/]: the solver met its tolerance, and the gradient is {error:.1e} off",
    "not certified": "no certified gradient to compare with: {why}",
    "inaccurate": "[yellow]inaccurate[/] by its own estimate: {message}",
    "broke down": "[red]broke down[/] in the {phase} pass, {status}: {message}",
}


def make_record(
    run: Run, result: GradientResult, *, first_call_s: float, timed: Run | None
) -> dict[str, Any]:
    """Everything that the command shows.

    Parameters
    ----------
    run : Run
    result : GradientResult
        What its first call gave.
    first_call_s : float
        Seconds of that call, preparation and compilation included.
    timed : Run or None
        The same without an error bar, called for warm times; ``None`` for none.

    Returns
    -------
    dict
        ``verdict`` is ``"right"``, ``"wrong"``, ``"inaccurate"``, ``"not certified"`` or ``"broke
        down"``.
    """
    problem, settings = run.problem, run.settings
    error = result.gradient_error
    return {
        "problem": problem.name,
        "settings": dict(problem.settings),
        "method": settings.method.name,
        "solver": settings.solver,
        "rtol": settings.rtol,
        "atol": settings.atol,
        "device": settings.device,
        "status": result.status,
        "phase": result.phase,
        "message": result.message,
        "loss": result.loss,
        "dparams": {name: result.dparams[name] for name in problem.params},
        "dy0": result.dy0,
        **_compared(run, result),
        "gradient_error": None if error is None else asdict(error),
        "refined": _refined(result),
        "stats": {name: n for name, n in asdict(result.stats).items() if n is not None},
        "times": {"first_call_s": first_call_s} | _warm_times(run, result, timed),
    }


def _refined(result: GradientResult) -> dict[str, Any] | None:
    """The better gradient that the estimate comes from."""
    better = result.refined
    if better is None:
        return None
    error = None if better.gradient_error is None else asdict(better.gradient_error)
    return {"dparams": better.dparams, "dy0": better.dy0, "gradient_error": error}


def _warm_times(run: Run, result: GradientResult, timed: Run | None) -> dict[str, float]:
    """Of a gradient and its primal solve; and what an error bar costs."""
    from adjointbench.suite.measuring.timing import time_run

    if timed is None or not result.ended:
        return {}
    found: dict[str, Any] = {**time_run(timed)}
    if run.settings.error_bar:
        found["error_bar_seconds"] = min(timeit.repeat(run, number=1, repeat=3))
        found["error_bar_ratio"] = found["error_bar_seconds"] / found["seconds"]
    return found


def _compared(run: Run, result: GradientResult) -> dict[str, Any]:
    """The certified gradient, the errors against it, and the verdict."""
    from adjointbench.suite.measuring.errors import WRONG, errors_against

    problem, reference = run.problem, run.problem.reference
    if not result.ended:
        return {"verdict": "broke down", "certified": None, "errors": None}
    if run.settings.regularizer is not None:
        return _uncertified("the regularizer is part of the loss", result)
    if reference is None:
        return _uncertified("nobody has certified this problem at these settings", result)
    errors = errors_against(reference, result, problem.params)
    certified = {
        "loss": reference.loss,
        "dparams": dict(reference.dparams),
        "dy0": reference.dy0,
        "agreement": reference.agreement,
    }
    right = max(errors["error"], errors["dy0_error"]) <= WRONG
    verdict = "right" if right else "wrong"
    return {
        "verdict": verdict if result.status == "ok" else result.status,
        "certified": certified,
        "errors": errors,
    }


def _uncertified(why: str, result: GradientResult) -> dict[str, Any]:
    verdict = "not certified" if result.status == "ok" else result.status
    return {"verdict": verdict, "why": why, "certified": None, "errors": None}


def print_record(record: dict[str, Any]) -> None:
    """Print what :func:`make_record` made."""
    out = console()
    settings = ", ".join(f"{key}={value!r}" for key, value in record["settings"].items())
    out.print(f"[bold]{record['problem']}[/]({settings})")
    out.print(
        f"{record['method']}, {record['solver']}, rtol {_number(record['rtol'])}, "
        f"atol {_number(record['atol'])}, on {record['device']}\n"
    )
    errors = record["errors"] or {}
    worst = max(errors.get("error", 0.0), errors.get("dy0_error", 0.0))
    out.print(_VERDICTS[record["verdict"]].format(**{**record, "error": worst}) + "\n")
    if record["gradient_error"]:
        out.print(_estimate(record["gradient_error"], record["refined"]) + "\n")
    if record["verdict"] != "broke down":
        out.print(_components_table(record))
    facts = {
        "errors": _named(errors, _number),
        "counts": _named(record["stats"], _number),
        "times": _times(record["times"]),
    }
    beside = Table.grid(padding=(0, 3))
    beside.add_row(*(_facts(title, pairs) for title, pairs in facts.items() if pairs))
    out.print(beside)


def _estimate(error: dict[str, Any], refined: dict[str, Any] | None) -> str:
    """What the gradient says of its own error, and of that of the refined one."""
    said = f"estimated to be {_largest(error)} off, by {error['how']}"
    if not error["reliable"]:
        return f"{said}; not reliable: {error['reason']}"
    if refined is None or refined["gradient_error"] is None:
        return said
    return f"{said}\nand the refined gradient {_largest(refined['gradient_error'])}"


def _largest(error: dict[str, Any]) -> str:
    return f"{max(error['dparams'], error['dy0']):.1e}"


def _components_table(record: dict[str, Any]) -> Table:
    rows = list(_components(record))
    columns = ("of the loss to", ">gradient", ">estimated error", ">refined")
    columns = (*columns, ">certified", ">relative error")
    wanted = (True, True, bool(record["gradient_error"]), bool(record["refined"]))
    wanted = (*wanted, *[bool(record["certified"])] * 2)
    columns = tuple(column for column, shown in zip(columns, wanted, strict=True) if shown)
    cells = [
        tuple(cell for cell, shown in zip(row, wanted, strict=True) if shown)
        for row in rows[:_MOST_ROWS]
    ]
    made = table(f"loss {record['loss']:.10g}", columns, cells)
    if len(rows) > _MOST_ROWS:
        made.caption = f"and {len(rows) - _MOST_ROWS} more; --json has all"
    return made


def _components(record: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    certified = record["certified"] or {"dparams": {}, "dy0": None}
    error = record["gradient_error"] or {"by_param": {}, "by_y0": None}
    refined = record["refined"] or {"dparams": {}, "dy0": None}
    for name, values in {**record["dparams"], "y0": record["dy0"]}.items():
        beside = certified["dy0"] if name == "y0" else certified["dparams"].get(name)
        off = error["by_y0"] if name == "y0" else error["by_param"].get(name)
        better = refined["dy0"] if name == "y0" else refined["dparams"].get(name)
        for index, value in np.ndenumerate(values):
            where = f"{name}{list(index)}" if np.size(values) > 1 else name
            told = "" if off is None else f"± {off[index]:.1e}"
            found = _beside(value, None if beside is None else beside[index])
            yield (
                where,
                f"{value:.8g}",
                told,
                "" if better is None else f"{better[index]:.8g}",
                *found,
            )


def _beside(value: float, certified: float | None) -> tuple[str, str]:
    if certified is None:
        return "", ""
    error = abs(value - certified) / abs(certified) if certified else abs(value - certified)
    return f"{certified:.8g}", f"{error:.1e}"


def _facts(title: str, pairs: list[tuple[str, str]]) -> Table:
    """A small table without a heading."""
    made = table(title, ("", ">"), pairs)
    made.show_header = False
    return made


def _named(values: Mapping[str, Any], text: Callable[[Any], str]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), text(value)) for name, value in values.items()]


def _times(times: Mapping[str, float]) -> list[tuple[str, str]]:
    shown = {
        "first_call_s": ("first call, compiled", _duration),
        "seconds": ("one gradient, warm", _duration),
        "primal_seconds": ("one primal solve, warm", _duration),
        "ratio": ("gradient / primal", _number),
        "error_bar_seconds": ("with its error bar", _duration),
        "error_bar_ratio": ("with / without", _number),
    }
    return [(label, text(times[key])) for key, (label, text) in shown.items() if key in times]


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def _number(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
