"""The section of a report about trainings: ratios beside the published ones, curves, seeds."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from ...suite.measuring import formats
from ...training.ratios import families_of, last_epochs
from ...training.records import SEVERAL
from ...training.rounding import ROUNDING
from ..figures.shown_figure import save_figure
from ..figures.training import training_figure
from ..tables.published import EXPERIMENTS, published_training
from ..tables.shown_table import Column, as_table
from ..tables.trainings import beside_published, by_experiment
from .commands import training_command
from .content import Part
from .training_claims import training_claims_part

_NOTE = (
    "Ratios to the run of the same seed with no regulariser, after as many epochs: medians over "
    "the seeds, in brackets the smallest and the largest, in parentheses what is published of the "
    "experiment, on another machine and in another language. To the same loss: train time until "
    "the training loss first was at the larger of the two final ones; half way: at the geometric "
    "mean of that and the untrained loss. Evaluations are those on the first training batch after "
    "the last epoch; points are of test accuracy. All numbers: trainings.csv, training_ratios.csv."
)

#: What the file beside a figure holds.
_DRAWN = ("task", "method", "regularizer", "coefficients", "seed", "epoch", "status")
_DRAWN += ("train_loss", "test_accuracy", "nfe", "train_seconds")


def training_parts(epochs: pd.DataFrame, ratios: pd.DataFrame, out: Path) -> list[Part]:
    """The parts about trainings; none where there are none.

    Parameters
    ----------
    epochs : DataFrame
        Of :func:`~adjointbench.training.ratios.read_trainings`.
    ratios : DataFrame
        Their :func:`~adjointbench.training.ratios.summary_of`.
    out : path
        The report's folder, which gets figures and tables.
    """
    if epochs.empty:
        return []
    epochs.to_csv(out / "trainings.csv", index=False)
    ratios.to_csv(out / "training_ratios.csv", index=False)
    parts = []
    for (task, method), mine in by_experiment(ratios).groupby(["task", "method"], sort=False):
        rows = epochs[epochs["task"].eq(task) & epochs["method"].eq(method)]
        caption = (
            f"{task}, {method}: loss and evaluations while training. "
            "Above by epoch, with the band over all seeds; below by seconds."
        )
        said = findings(mine)
        experiment = EXPERIMENTS.get(str(task).split(" ")[0])
        shown = save_figure(
            training_figure(rows),
            f"training-{task}-{method}",
            out,
            caption,
            data=rows[[name for name in _DRAWN if name in rows]],
            command=training_command(rows),
            label=" ".join([caption, *said]),
        )
        parts.append(
            Part(
                heading=f"{experiment}: {task}, {method}" if experiment else f"{task}, {method}",
                sentences=(*said, _settings(rows)),
                figures=(shown,),
                table=as_table(*beside_published(mine)),
                note="" if parts else _NOTE,
            )
        )
    claims = training_claims_part(epochs, out)
    return [*parts, *claims, *_families(epochs), _seeds(epochs)]


def findings(lines: pd.DataFrame) -> tuple[str, ...]:
    """What the ratios of one task and method say, in sentences."""
    found = []
    by_taylor = lines[lines["regularizer"].str.startswith("taylor")]
    for line in lines.to_dict("records"):
        name, ratio = line["regularizer"], line["train_seconds ratio"]
        if name.split(" ")[0] != "error" or pd.isna(ratio):
            continue
        points = "" if pd.isna(line["points"]) else f", at {line['points']:+.1f} points of accuracy"
        told = f"Training with {name} takes {ratio:.2f} of the time of training without{points}"
        as_many = by_taylor["epochs"].eq(line["epochs"])
        if pd.notna(taylor := by_taylor[as_many]["train_seconds"].min()):
            told += f", and is {taylor / line['train_seconds']:.1f} times as fast as with taylor"
        if pd.notna(same := line["equal_loss_seconds ratio"]):
            told += f". To the same training loss it takes {same:.2f} of it"
        found.append(told + ".")
    return (*found, *_published(str(lines["task"].iloc[0]))) if found else ()


def _published(task: str) -> list[str]:
    """What is published of the error estimate beside it."""
    error, taylor = (published_training(task, name) for name in ("error", "taylor"))
    if not error:
        return []
    told = f"Published: {error['train_seconds ratio']:.2f}"
    if pd.notna(error["points"]):
        told += f", at {error['points']:+.1f} points"
    if taylor:
        faster = taylor["train_seconds ratio"] / error["train_seconds ratio"]
        told += f"; {faster:.3g} times as fast as with Taylor"
    return [f"{told}."]


def _settings(rows: pd.DataFrame) -> str:
    """What the trainings of a task have in common, and how much of the estimate was rounding."""
    row, rounding = rows.iloc[0], rows["rounding"].max() if "rounding" in rows else math.nan
    said = f"{rows['epochs'].max():.0f} epochs, {row['dtype']}, relative tolerance {row['rtol']:g}."
    if rounding >= ROUNDING:
        said += f" Up to {rounding:.0%} of the error estimate was rounding."
    machines = sorted({m for names in rows["machine"] for m in names.split(SEVERAL) if m})
    if len(machines) > 1:
        said += f" Trained on {formats.listed(machines)}; times are compared within one machine."
    return said


def _families(epochs: pd.DataFrame) -> list[Part]:
    """The same training with several adjoints."""
    columns = (
        Column("task", "task"),
        Column("regularizer", "regulariser"),
        Column("method", "method"),
        Column("seeds", "seeds", formats.amount),
        Column("broke", "broke down", formats.amount),
        Column("step_seconds", "time a step", formats.seconds),
        Column("test_accuracy", "test accuracy", formats.percent),
        Column("train_loss", "loss", formats.error),
        Column("first_error", "gradient error, at first", formats.error),
        Column("gradient_error", "at last", formats.error),
    )
    families = families_of(epochs)
    shown = as_table(families, _filled(families, columns))
    if shown is None:
        return []
    note = (
        "A step is one gradient and one move of the optimiser. The gradient's error is relative, "
        "on the first batch, as the gradient estimates it itself; a dash where it was not asked "
        "for (--gradient-error)."
    )
    return [Part(heading="The same training with each adjoint", table=shown, note=note)]


def _seeds(epochs: pd.DataFrame) -> Part:
    """What each seed did."""
    last = last_epochs(epochs)
    columns = (
        Column("task", "task"),
        Column("method", "method"),
        Column("regularizer", "regulariser"),
        Column("seed", "seed", formats.amount),
        Column("status", "ended"),
        Column("epoch", "epochs", formats.amount),
        Column("train_loss", "loss", formats.error),
        Column("test_accuracy", "test accuracy", formats.percent),
        Column("nfe", "evaluations", formats.amount),
        Column("train_seconds", "train time", formats.seconds),
        Column("predict_seconds", "predict time", formats.seconds),
    )
    return Part(heading="What each seed did", table=as_table(last, _filled(last, columns)))


def _filled(frame: pd.DataFrame, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns that hold something."""
    return tuple(c for c in columns if frame.empty or frame[c.name].notna().any())
