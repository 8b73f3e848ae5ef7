"""``adjointbench compare``: which adjoint to use for a problem."""

from __future__ import annotations

import errno
import importlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from adjointbench.problems.installing import how_to_install

from .. import methods as find_methods
from .clusters import Cluster, telling_loss
from .output import INTERRUPTED, OK, USAGE, WRONG, AsJson, print_json, refusing
from .settings import Settings, parse_settings
from .watching import print_markdown, watching

if TYPE_CHECKING:
    from adjointbench.suite.own_problem.comparison import Comparison, Outcome
    from adjointbench.suite.own_problem.recommendation import Recommendation

#: Why rows cannot be written, where that is no fault of ours.
_UNWRITABLE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS),
    *(errno.EACCES, errno.EPERM),
)


def compare(
    problem: Annotated[
        str,
        typer.Argument(
            help="A name of 'adjointbench problems', FILE.py, FILE.py:ATTRIBUTE or "
            "MODULE:ATTRIBUTE; settings may follow in parentheses."
        ),
    ],
    settings: Settings = None,
    methods: Annotated[
        str | None,
        typer.Option(help="Names between commas, settings in parentheses; all by default."),
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="discrete, continuous, blackbox or peers.")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="jax, torch or scipy.")] = None,
    error: Annotated[float, typer.Option(help="The gradient error that you can accept.")] = 1e-4,
    fastest: Annotated[
        bool,
        typer.Option("--fastest", help="Recommend also what integrates the state backwards."),
    ] = False,
    rtols: Annotated[
        str | None, typer.Option(help="Relative tolerances between commas.", show_default=False)
    ] = None,
    budget: Annotated[str, typer.Option(help="Time for everything: 90, 90s, 2m, 1h.")] = "2m",
    device: Annotated[str, typer.Option(help="cpu, gpu, cuda, cuda:1, ...")] = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="The folder; compare-NAME by default.", show_default=False)
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Measure all again; old rows are kept aside.")
    ] = False,
    cluster: Cluster = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write OUT/report/index.html as well.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Measure every method on a problem, of the zoo or your own, and say which one to use.

    First a reference gradient is certified, by two independent computations and by differences of
    the loss. What is measured is in OUT at once; the same command goes on where it was stopped, or
    where time was over. Ends with 1 where no method is known to get to the accuracy.

    For example:

        adjointbench compare lotka_volterra
        adjointbench compare my_model.py:problem --error 1e-6 --budget 5m
        adjointbench compare my_package.models:make --set size=20 --backend torch
        adjointbench compare 'van_der_pol(mu=10)' --methods jax-discrete,cvodes-adjoint
        adjointbench compare my_model.py --cluster tcp://10.0.0.1:8786

    On a cluster one machine measures all; OUT and a problem of your own have to lie on a file
    system that it shares.
    """
    with refusing():
        from adjointbench.problems.files import checked_folder
        from adjointbench.suite.measuring.budget import budget_seconds
        from adjointbench.suite.measuring.names import problem_name
        from adjointbench.suite.own_problem import comparison
        from adjointbench.suite.own_problem.question import question

        if report:
            _check_report()
        asked = question(problem, parse_settings(settings))
        name = problem_name(asked.problem)
        chosen = comparison.Comparison(
            problem=asked.problem,
            locator=asked.locator,
            methods=_chosen_methods(methods, family, backend),
            out=comparison.default_folder(name) if out is None else out,
            rtols=comparison.RTOLS if rtols is None else _tolerances(rtols),
            budget_s=budget_seconds(budget),
            device=device,
        )
        _check_error(error)
        checked_folder("out", chosen.out)
    outcome = _run(chosen, anew, cluster)
    found = _recommended(chosen, outcome, error, fastest)
    _answer(chosen, asked.fetch, found, outcome, report, as_json)


def _recommended(
    chosen: Comparison, outcome: Outcome, error: float, fastest: bool
) -> Recommendation:
    from adjointbench.suite.own_problem.recommendation import recommend

    return recommend(
        outcome.rows,
        error,
        problem=chosen.name,
        device=chosen.device,
        agreement=outcome.reference.agreement if outcome.reference else None,
        left=outcome.left,
        fastest=fastest,
    )


def _answer(
    chosen: Comparison,
    fetch: str,
    found: Recommendation,
    outcome: Outcome,
    report: bool,
    as_json: bool,
) -> NoReturn:
    """Write the recommendation and the page, and print them."""
    from adjointbench.suite.own_problem.markdown import code, markdown
    from adjointbench.suite.own_problem.question import as_stiff

    fetch = as_stiff(fetch) if outcome.as_stiff else fetch
    text, page = markdown(found, fetch, outcome.remarks), None
    try:
        (chosen.out / "recommendation.md").write_text(text, encoding="utf-8")
        if report and outcome.rows:
            print("Writing the report ...", file=sys.stderr)
            page = _report(chosen)
    except OSError as error:  # what was measured is there, and the answer is printed
        _say(f"out={str(chosen.out)!r} cannot be written any more ({error.strerror})")
    if as_json:
        lines = code(fetch, found.best, chosen.device) if found.best else None
        print_json(_record(found, chosen, outcome) | {"code": lines, "report": page})
    else:
        print_markdown(text)
        print(f"\nEverything is in {chosen.out}" + (f"; the report is at {page}" if page else ""))
    raise typer.Exit(OK if _reached(found) else WRONG)


def _reached(found: Recommendation) -> bool:
    """Whether some method is known to get to the accuracy."""
    return found.best is not None and found.agreement is not None


def _run(chosen: Comparison, anew: bool, cluster: str | None) -> Outcome:
    from adjointbench.suite.own_problem.run import compare as run_comparison

    try:
        with (
            telling_loss(f"what was measured {_goes_on(chosen)}"),
            watching(chosen.budget_s) as watch,
        ):
            return run_comparison(chosen, watch, anew=anew, cluster=cluster)
    except KeyboardInterrupt:
        _say(f"interrupted; what was measured {_goes_on(chosen)}")
        raise typer.Exit(INTERRUPTED) from None
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _say(f"{chosen.rows}: {error.strerror}; what was measured before {_goes_on(chosen)}")
        raise typer.Exit(USAGE) from None


def _goes_on(chosen: Comparison) -> str:
    return f"is in {chosen.rows}, and the same command goes on from there"


def _say(sentence: str) -> None:
    typer.echo(f"adjointbench: {sentence}", err=True)


def _record(found: Recommendation, chosen: Comparison, outcome: Outcome) -> dict[str, Any]:
    parts = {"aim": found.aim, "by_backend": {k: asdict(v) for k, v in found.by_backend.items()}}
    places = {"out": str(chosen.out), "rows": str(chosen.rows)}
    return asdict(found) | parts | {"remarks": outcome.remarks} | places


def _check_report() -> None:
    """Refuse, before anything is measured, where what the page needs is not installed."""
    try:
        importlib.import_module("adjointbench.reports.build")
    except ModuleNotFoundError as missing:
        package = str(missing.name).partition(".")[0]
        if package == "adjointbench":
            raise
        raise ValueError(
            f"{package} is not installed, which the page needs; "
            f"{how_to_install('report')}, or pass --no-report"
        ) from None


def _report(chosen: Comparison) -> str:
    """The page."""
    from adjointbench.reports import build_report

    page = build_report(
        [chosen.rows],
        chosen.out / "report",
        title=f"Gradients of {chosen.name}",
        say=lambda trouble: None,
    )
    return str(page)


def _chosen_methods(listed: str | None, family: str | None, backend: str | None) -> tuple[str, ...]:
    from adjointbench.suite.measuring.names import bare_name, split_list
    from adjointbench.suite.own_problem.method_order import in_order, normal_name

    able = find_methods(family=family, backend=backend)
    if listed is None:
        return in_order(method.name for method in able if not method.keeps_steps)
    kept = {method.name for method in able}
    names = tuple(dict.fromkeys(normal_name(name) for name in split_list(listed)))
    found = tuple(name for name in names if bare_name(name) in kept)
    if not found:
        raise ValueError(f"methods={listed!r} leaves none; check --family and --backend")
    return found


def _tolerances(text: str) -> tuple[float, ...]:
    try:
        found = {float(part) for part in text.split(",") if part.strip()}
    except ValueError:
        found = set()
    if not found or not all(0 < rtol < 1 for rtol in found):
        raise ValueError(f"rtols={text!r} must be tolerances between commas, as in 1e-3,1e-6")
    return tuple(sorted(found, reverse=True))


def _check_error(error: float) -> None:
    if not 0 < error < 1:
        raise ValueError(f"error={error!r} must be a relative error between 0 and 1, as in 1e-4")
