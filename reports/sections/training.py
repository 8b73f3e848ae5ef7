"""The section of a report about trainings: ratios beside the published ones, curves, seeds."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ...suite.measuring import formats
from ...training.ratios import NONE, RATIOS, families_of, last_epochs
from ..figures.shown_figure import save_figure
from ..figures.training import training_figure
from ..tables.published import LOCAL_TRAINING, TRAINING
from ..tables.shown_table import Column, as_table
from .commands import training_command
from .content import Part

_NOTE = (
    "Medians over the seeds, each run divided by the one of the same seed with no regulariser, "
    "and in brackets the smallest and the largest. Published: on MNIST, Tsit5 at 1.4e-8, on "
    "another machine and in another language; train time leaves out loading and evaluation, and "
    "predict time is one call on one batch. Evaluations are those on the first training batch "
    "after the last epoch; times batches: of all forward solves of the training. "
    "All numbers: trainings.csv, training_ratios.csv."
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
    for (task, method), mine in ratios.groupby(["task", "method"], sort=False):
        rows = epochs[epochs["task"].eq(task) & epochs["method"].eq(method)]
        first = rows.iloc[0]
        caption = (
            f"{task}, {method}: loss, share of the test told wrong and evaluations while training. "
            "Above by epoch, with the band over all seeds; below by seconds."
        )
        said = findings(mine)
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
                heading=f"{task}, {method}",
                sentences=(*said, _settings(first)),
                figures=(shown,),
                table=as_table(_shown(mine), _columns(mine)),
                note=_NOTE,
            )
        )
    return [*parts, *_families(epochs), _seeds(epochs)]


def findings(lines: pd.DataFrame) -> tuple[str, ...]:
    """What the ratios of one task and method say, in sentences."""
    found = []
    taylor = lines[lines["regularizer"].str.startswith("taylor")]["train_seconds"].min()
    for line in lines.to_dict("records"):
        name, ratio = line["regularizer"], line["train_seconds ratio"]
        if name.split(" ")[0] != "error" or pd.isna(ratio):
            continue
        points = "" if pd.isna(line["points"]) else f", at {line['points']:+.1f} points of accuracy"
        told = f"Training with {name} takes {ratio:.2f} of the time of training without{points}"
        if pd.notna(taylor):
            told += f", and is {taylor / line['train_seconds']:.1f} times as fast as with taylor"
        found.append(told + ".")
    if found:
        found.append("Published: 0.84, at -0.6 points; 1.45 times as fast as with Taylor.")
    return tuple(found)


def _settings(row: Any) -> str:
    return f"{row['epochs']:.0f} epochs, {row['dtype']}, relative tolerance {row['rtol']:g}."


def _shown(lines: pd.DataFrame) -> pd.DataFrame:
    shown = pd.DataFrame(lines[["regularizer", "seeds", "broke", "accuracy", "loss"]])
    for name in RATIOS:
        shown[name] = [_range(line, f"{name} ratio", 2) for line in lines.to_dict("records")]
    shown["points"] = [_range(line, "points", 1) for line in lines.to_dict("records")]
    shown["published"] = [_published(name) for name in lines["regularizer"]]
    return shown


def _range(line: dict[str, Any], name: str, digits: int) -> str:
    if pd.isna(line[name]):
        return ""
    if line["regularizer"] == NONE:
        return "1" if name != "points" else "0"
    low, high = line[f"{name} low"], line[f"{name} high"]
    return f"{line[name]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _published(regularizer: str) -> str:
    name = regularizer if regularizer in LOCAL_TRAINING else regularizer.split(" ")[0]
    figures = TRAINING.get(name) or LOCAL_TRAINING.get(name)
    if figures is None:
        return ""
    train, predict, evaluations, *accuracy = figures
    points = f", {accuracy[0]:+.1f}" if accuracy else ""
    return f"{train:.2f}, {predict:.2f}, {evaluations:.2f}{points}"


def _columns(lines: pd.DataFrame) -> tuple[Column, ...]:
    found = [Column("regularizer", "regulariser"), Column("seeds", "seeds", formats.amount)]
    if lines["broke"].any():
        found.append(Column("broke", "broke down", formats.amount))
    if lines["accuracy"].notna().any():
        found.append(Column("accuracy", "test accuracy", formats.percent))
    found += [Column("loss", "training loss", formats.error)]
    found += [Column(name, f"{heading} / none") for name, heading in RATIOS.items()]
    if lines["points"].notna().any():
        found.append(Column("points", "points of accuracy"))
    return (*found, Column("published", "published: train, predict, evaluations, points"))


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
    shown = as_table(families_of(epochs), columns)
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
    return Part(heading="What each seed did", table=as_table(last, columns))
