"""``adjointbench gradient``: one gradient beside the certified one."""

from __future__ import annotations

import time
from typing import Annotated, Any, NoReturn

import typer

from .. import prepare
from .gradient_record import make_record, print_record
from .output import OK, WRONG, AsJson, print_json, refusing, working
from .settings import PROBLEM, Settings, find_problem


def gradient(
    problem: Annotated[str, typer.Argument(help=PROBLEM)],
    method: Annotated[str, typer.Option(help="A name of 'adjointbench methods'.")] = "jax-discrete",
    settings: Settings = None,
    solver: Annotated[str | None, typer.Option(help="The method's own by default.")] = None,
    rtol: Annotated[float, typer.Option(help="Relative tolerance.")] = 1e-6,
    atol: Annotated[float, typer.Option(help="Absolute tolerance.")] = 1e-9,
    device: Annotated[str, typer.Option(help="cpu, gpu, cuda, cuda:1, ...")] = "cpu",
    adjoint_solver: Annotated[str | None, typer.Option(help="Solver of the reverse pass.")] = None,
    adjoint_rtol: Annotated[float | None, typer.Option(help="The forward one by default.")] = None,
    adjoint_atol: Annotated[float | None, typer.Option(help="The forward one by default.")] = None,
    checkpoints: Annotated[int | None, typer.Option(help="States kept for the reverse.")] = None,
    first_step: Annotated[
        float | None, typer.Option(help="First step; every step of a fixed-step solver.")
    ] = None,
    max_steps: Annotated[int | None, typer.Option(help="Attempted steps allowed.")] = None,
    differentiate_step_size: Annotated[
        bool, typer.Option("--differentiate-step-size", help="Through the controller as well.")
    ] = False,
    regularizer: Annotated[
        str | None,
        typer.Option(
            help="error, error_squared, stiffness, error+stiffness, taylor, kinetic, jacobian, "
            "steer or local, added to the loss."
        ),
    ] = None,
    coefficient: Annotated[float, typer.Option(help="Of the regularizer.")] = 0.0,
    error_bar: Annotated[
        bool,
        typer.Option("--error-bar", help="Estimate how far the gradient is off, at 3x the cost."),
    ] = False,
    gradient_rtol: Annotated[
        float | None, typer.Option(help="The accuracy of the gradient, whatever it takes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute one gradient; show it beside the certified one, with errors, counts and times.

    Ends with 1 where the solver broke down, or the gradient is more than 10 % off, by its own
    estimate or the certified one.

    For example:

        adjointbench gradient lotka_volterra
        adjointbench gradient van_der_pol --set mu=10 --rtol 1e-8
        adjointbench gradient pendulum --method scipy-adjoint --json
        adjointbench gradient my_model.py --method scipy-adjoint
        adjointbench gradient my_model.py --error-bar
        adjointbench gradient my_model.py --gradient-rtol 1e-6
    """
    options = {
        "solver": solver,
        "rtol": rtol,
        "atol": atol,
        "device": device,
        "adjoint_solver": adjoint_solver,
        "adjoint_rtol": adjoint_rtol,
        "adjoint_atol": adjoint_atol,
        "checkpoints": checkpoints,
        "first_step": first_step,
        "max_steps": max_steps,
        "differentiate_step_size": differentiate_step_size,
        "regularizer": regularizer,
        "coefficient": coefficient,
        "error_bar": error_bar,
        "gradient_rtol": gradient_rtol,
    }
    given = {name: value for name, value in options.items() if value is not None}
    _show(problem, settings, method, given, as_json)


def _show(
    problem: str, settings: Settings, method: str, options: dict[str, Any], as_json: bool
) -> NoReturn:
    with working(f"Preparing {method} on {problem}, then measuring ..."):
        with refusing():
            chosen = find_problem(problem, settings)
            start = time.perf_counter()
            run = prepare(chosen, method, **options)
        result = run()
        first_call_s = time.perf_counter() - start
        # Of a gradient to an accuracy, which takes several solves, the bare call is but one.
        timed = None if "gradient_rtol" in options else run
        if timed is not None and options["error_bar"]:
            timed = prepare(chosen, method, **{**options, "error_bar": False})
        record = make_record(run, result, first_call_s=first_call_s, timed=timed)
    if as_json:
        print_json(record)
    else:
        print_record(record)
    raise typer.Exit(OK if record["verdict"] in ("right", "not certified") else WRONG)
