"""``adjointbench train``: train a neural ODE with a regulariser, or a grid of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from .clusters import Cluster, telling_loss
from .output import (
    INTERRUPTED,
    OK,
    USAGE,
    WRONG,
    AsJson,
    console,
    print_json,
    refuse,
    refusing,
    say_beside,
    table,
)
from .settings import Settings, parse_settings

if TYPE_CHECKING:
    from adjointbench.training import Training
    from adjointbench.training.records import Epoch


def train(
    task: Annotated[
        str | None, typer.Argument(help="A task; with none, they are listed.", show_default=False)
    ] = None,
    regularizer: Annotated[
        str | None,
        typer.Option(
            help="none, the default, error, error_squared, stiffness, error+stiffness, taylor, "
            "kinetic, jacobian, steer, local or local-biased."
        ),
    ] = None,
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
    seed: Annotated[
        int | None, typer.Option(help="Of weights, batches and draws; 0 by default.")
    ] = None,
    rtol: Annotated[
        float | None, typer.Option(help="Tolerance, atol with it; the task's by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for rows, settings and checkpoint.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from the checkpoint in --out, or to more --epochs."),
    ] = False,
    grid: Annotated[
        str | None,
        typer.Option(
            help="Regularizers, separated by commas, each with --seeds; one folder a run in "
            "--out. Goes on where it stopped. Coefficients of their own: error=10:1, or for two "
            "terms 'error+stiffness=10:1 0.01'."
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Of a grid: 0-4, the default, or 0,3,7.")
    ] = None,
    adjoints: Annotated[str | None, typer.Option(help="Of a grid: discrete,backsolve.")] = None,
    differentiate_step_size: Annotated[
        bool, typer.Option("--differentiate-step-size", help="Through the controller as well.")
    ] = False,
    gradient_error: Annotated[
        bool,
        typer.Option(
            "--gradient-error",
            help="Estimate how far the gradient is off, every so many epochs: 5 % of the time.",
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, gpu, cuda, cuda:1, ...")] = "cpu",
    cluster: Cluster = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Train a neural ODE; one row an epoch, on the screen and in OUT/epochs.csv.

    Ends with 1 where a solve broke down, with 2 where rows could not be saved, and with 130 where
    it was interrupted. A report of what lies in a folder: adjointbench report FOLDER.

    For example:

        adjointbench train digits --regularizer error --out runs/error
        adjointbench train mnist --set path=mnist.npz --epochs 10 --out runs/mnist
        adjointbench train two_spirals --grid none,error,taylor --seeds 0-4 --out runs
        adjointbench train mnist --grid none,error --cluster tcp://10.0.0.1:8786 --out runs

    On a cluster OUT has to lie on a file system that its workers share, and the runs of a seed are
    trained by one machine.
    """
    of_one = {"regularizer": regularizer, "coefficient": coefficient, "seed": seed}
    of_a_grid = {"grid": grid, "seeds": seeds, "adjoints": adjoints, "cluster": cluster}
    with refusing(extra="train"):
        from adjointbench.training import PRESETS

        if task is None:
            _refuse_given("needs a task", {"out": out, "epochs": epochs, **of_one, **of_a_grid})
            _list(PRESETS, as_json)
            return
        options: dict[str, Any] = {
            "backend": backend,
            "epochs": epochs,
            "rtol": rtol,
            "device": device,
            "differentiate_step_size": differentiate_step_size,
            "gradient_error": gradient_error,
        }
        options |= _task_options(settings, {*options, *of_one, "adjoint", "out", "resume"})
        if grid is None:
            _refuse_given("needs --grid", of_a_grid)
            options |= {"regularizer": regularizer or "none", "coefficient": coefficient}
            options |= {"adjoint": adjoint, "seed": seed or 0, "out": out, "resume": resume}
            _train_once(task, options, as_json)
        _refuse_given("is of one run, and --grid has its own", of_one)
        options |= {"regularizers": _names(grid), "seeds": _numbers(seeds or "0-4")}
        options |= {"adjoints": _names(adjoints or adjoint)}
        _train_grid(task, Path("runs") if out is None else out, options, cluster, as_json)


def _task_options(settings: list[str] | None, own: set[str]) -> dict[str, Any]:
    """What ``--set`` gives the task; options of the command are no settings of a task."""
    found = parse_settings(settings)
    for name in sorted(own & set(found)):
        refuse(f"--set {name}=...: use --{name.replace('_', '-')}")
    return found


def _refuse_given(why: str, options: dict[str, Any]) -> None:
    """Refuse options that would have no effect."""
    for name, value in options.items():
        if value is not None:
            refuse(f"--{name} {why}")


def _train_once(task: str, options: dict[str, Any], as_json: bool) -> NoReturn:
    from adjointbench.training import train

    seen: list[Epoch] = []

    def say(row: Epoch) -> None:
        seen.append(row)
        if not as_json:
            _say(row)

    out, resume = options["out"], options["resume"]
    try:
        training = train(task, say=say, tell=say_beside, **options)
    except KeyboardInterrupt:
        done = f"interrupted after epoch {seen[-1]['epoch']}" if seen else "interrupted"
        kept = "nothing is kept without --out"
        if out is not None:
            kept = f"what was trained is in {out}, and the same command " + (
                "goes on from there" if resume else "with --resume goes on from there"
            )
        say_beside(f"{done}; {kept}")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json(
            {
                "status": training.status,
                "compile_seconds": training.compile_seconds,
                "rows": training.rows,
            }
        )
    elif training.status != "ok":
        print(f"The training broke down: {training.status}")
    elif not seen:
        print(f"All {training.settings.epochs} epochs are in {out}; --epochs N goes on to N")
    _tell_unsaved(training, as_json)
    raise typer.Exit(USAGE if training.unsaved else OK if training.status == "ok" else WRONG)


def _tell_unsaved(training: Training, as_json: bool) -> None:
    """Print the rows that are nowhere else, and how to go on."""
    if not training.unsaved:
        return
    from adjointbench.training.run_folder import as_csv

    if not as_json:
        print(as_csv(training.rows[-training.unsaved :]), end="")
    say_beside(
        f"the last {training.unsaved} epochs could not be written into {training.folder}; make "
        "room there: the same command with --resume trains them again, to the same numbers"
    )


def _train_grid(
    task: str, out: Path, options: dict[str, Any], cluster: str | None, as_json: bool
) -> None:
    from adjointbench.training import train_grid

    def say(name: str, row: Epoch) -> None:
        if not as_json:
            _say(row, f"{name}  ")

    def tell(name: str, sentence: str) -> None:
        say_beside(f"{name}  {sentence}")

    kept = f"what was trained is in {out}, and the same command goes on from there"
    try:
        if cluster is None:
            folders = train_grid(task, out=out, say=say, tell=tell, **options)
        else:
            from adjointbench.suite.trainings import train_grid_on

            with telling_loss(kept):
                folders = train_grid_on(
                    cluster, task, out=out, say=say, tell=tell, tell_all=say_beside, **options
                )
    except RuntimeError as error:
        say_beside(str(error))
        raise typer.Exit(USAGE) from None
    except KeyboardInterrupt:
        say_beside(f"interrupted; {kept}")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json({"runs": [str(folder) for folder in folders]})
    else:
        print(f"{len(folders)} runs; adjointbench report {out} shows them")


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
        ("gradient off by", "gradient_error", "{:.0e}"),
        ("steps/s", "steps_per_second", "{:.0f}"),
        ("trained", "train_seconds", "{:.2f} s"),
    ):
        if row.get(key) is not None:
            parts.append(f"{name} {form.format(row[key])}")
    if doubt := row.get("gradient_doubt"):
        parts.append(f"({doubt})")
    if row["status"] != "ok":
        parts.append(str(row["status"]))
    try:
        print(where + "  ".join(parts), flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        # A full disk below standard output; the row is kept, and the training goes on.
        return


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _numbers(text: str) -> list[int]:
    """``"0-4"`` or ``"0,3,7"`` as numbers, each once."""
    found: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            more = range(int(first), int(last) + 1) if dash else [int(first)]
            if not more:
                raise ValueError(part)
            found.extend(more)
    except ValueError:
        raise ValueError(f"seeds={text!r} is not known; pass 0-4, or 0,3,7") from None
    return list(dict.fromkeys(found))
