"""``adjointbench train``: train a neural ODE with a regulariser, or a grid of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from .output import AsJson, console, print_json, refusing, table
from .settings import Settings, parse_settings

if TYPE_CHECKING:
    from adjointbench.training.records import Epoch


def train(
    task: Annotated[
        str | None, typer.Argument(help="A task; with none, they are listed.", show_default=False)
    ] = None,
    regularizer: Annotated[
        str,
        typer.Option(
            help="none, error, error_squared, stiffness, error+stiffness, taylor, kinetic, "
            "jacobian, steer or local."
        ),
    ] = "none",
    coefficient: Annotated[
        list[str] | None,
        typer.Option(help="0.1, or 100:10 to anneal; twice for two terms. The task's by default."),
    ] = None,
    backend: Annotated[str, typer.Option(help="jax or torch.")] = "jax",
    adjoint: Annotated[
        str,
        typer.Option(
            help="discrete, backsolve, interpolating, blackbox, ..., diffrax, torchdiffeq."
        ),
    ] = "discrete",
    epochs: Annotated[int | None, typer.Option(help="The task's by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, batches and draws.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="A folder for rows, settings and checkpoint.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    grid: Annotated[
        str | None,
        typer.Option(
            help="Regularizers, separated by commas, each with --seeds; one folder a run in "
            "--out. Goes on where it stopped. Coefficients of their own: error=10:1."
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Of a grid: 0-4, or 0,3,7.")] = "0-4",
    adjoints: Annotated[str | None, typer.Option(help="Of a grid: discrete,backsolve.")] = None,
    differentiate_step_size: Annotated[
        bool, typer.Option("--differentiate-step-size", help="Through the controller as well.")
    ] = False,
    gradient_error: Annotated[
        bool, typer.Option("--gradient-error", help="Tell how far the gradient is off, by epoch.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, gpu, cuda, cuda:1, ...")] = "cpu",
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Train a neural ODE; one row an epoch, on the screen and in OUT/epochs.csv.

    Ends with 1 where a solve broke down. A report of what lies in a folder:
    adjointbench report FOLDER.

    For example:

        adjointbench train digits --regularizer error --out runs/error
        adjointbench train mnist --set path=mnist.npz --epochs 10 --out runs/mnist
        adjointbench train two_spirals --grid none,error,taylor --seeds 0-4 --out runs
    """
    with refusing(extra="train"):
        from adjointbench.training import PRESETS

        if task is None:
            _list(PRESETS, as_json)
            return
        options: dict[str, Any] = {
            "backend": backend,
            "epochs": epochs,
            "device": device,
            "differentiate_step_size": differentiate_step_size,
            "gradient_error": gradient_error,
            **parse_settings(settings),
        }
        if grid is None:
            options |= {"regularizer": regularizer, "coefficient": coefficient, "seed": seed}
            options |= {"adjoint": adjoint, "out": out, "resume": resume}
            _train_once(task, options, as_json)
        options |= {"regularizers": grid.split(","), "seeds": _numbers(seeds)}
        options |= {"adjoints": (adjoints or adjoint).split(",")}
        _train_grid(task, Path("runs") if out is None else out, options, as_json)


def _train_once(task: str, options: dict[str, Any], as_json: bool) -> NoReturn:
    from adjointbench.training import train

    training = train(task, say=None if as_json else _say, **options)
    if as_json:
        print_json({"status": training.status, "rows": training.rows})
    elif training.status != "ok":
        print(f"The training broke down: {training.status}. Its rows are kept.")
    raise typer.Exit(int(training.status != "ok"))


def _train_grid(task: str, out: Path, options: dict[str, Any], as_json: bool) -> None:
    from adjointbench.training import train_grid

    def say(name: str, row: Epoch) -> None:
        _say(row, f"{name}  ")

    folders = train_grid(task, out=out, say=say, **options)
    if as_json:
        print_json({"runs": [str(folder) for folder in folders]})
    else:
        print(f"{len(folders)} runs; adjointbench report {folders[0].parents[3]} shows them")


def _list(presets: Any, as_json: bool) -> None:
    if as_json:
        print_json({preset.name: preset.about for preset in presets.values()})
        return
    rows = [
        (p.name, p.about, str(p.epochs), f"{p.rtol:g}", p.dtype, p.optimizer.name)
        for p in presets.values()
    ]
    columns = ("task", "what", ">epochs", ">rtol", "dtype", "optimizer")
    console().print(table("Tasks", columns, rows))


def _say(row: Epoch, where: str = "") -> None:
    parts = [f"epoch {row['epoch']:3d}"]
    for name, key, form in (
        ("loss", "loss", "{:.4f}"),
        ("train", "train_accuracy", "{:.1%}"),
        ("test", "test_accuracy", "{:.1%}"),
        ("evaluations", "nfe", "{:.0f}"),
        ("steps/s", "steps_per_second", "{:.0f}"),
        ("trained", "train_seconds", "{:.2f} s"),
    ):
        if row.get(key) is not None:
            parts.append(f"{name} {form.format(row[key])}")
    if row["status"] != "ok":
        parts.append(str(row["status"]))
    print(where + "  ".join(parts), flush=True)


def _numbers(text: str) -> list[int]:
    """``"0-4"`` or ``"0,3,7"`` as numbers."""
    try:
        found = []
        for part in text.split(","):
            first, dash, last = part.partition("-")
            found.extend(range(int(first), int(last) + 1) if dash else [int(first)])
    except ValueError as error:
        raise ValueError(f"seeds={text!r} is not known; pass 0-4, or 0,3,7") from error
    return found
