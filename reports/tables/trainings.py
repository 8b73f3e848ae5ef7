"""Ratios of trainings beside published ones, as text: for the report and for the documentation."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportReturnType=false, reportGeneralTypeIssues=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ...suite.measuring import formats
from ...training.equal_loss import EQUAL_LOSS
from ...training.ratios import NONE, RATIOS
from .published import EXPERIMENTS, published_training
from .shown_table import Column

#: What is told of every training, and what it is called.
QUANTITIES = {
    "train_seconds ratio": RATIOS["train_seconds"],
    "equal_loss_seconds ratio": EQUAL_LOSS["equal_loss_seconds ratio"],
    "halfway_seconds ratio": EQUAL_LOSS["halfway_seconds ratio"],
    "predict_seconds ratio": RATIOS["predict_seconds"],
    "nfe ratio": RATIOS["nfe"],
    "points": "points",
    "test_loss ratio": "test loss",
}


def by_experiment(lines: pd.DataFrame) -> pd.DataFrame:
    """Lines of tasks in the order of the published experiments, all others behind them."""
    places = {task: place for place, task in enumerate(EXPERIMENTS)}
    return lines.sort_values(
        "task",
        key=lambda tasks: tasks.map(lambda t: places.get(t.split(" ")[0], 99)),
        kind="stable",
    )


def beside_published(lines: pd.DataFrame) -> tuple[pd.DataFrame, tuple[Column, ...]]:
    """Ratios with smallest and largest, and in parentheses the published one where there is any.

    Parameters
    ----------
    lines : DataFrame
        Of one task and method, of :func:`~adjointbench.training.ratios.summary_of`.

    Returns
    -------
    shown : DataFrame
    columns : tuple of Column
        Those that are not empty.
    """
    lines = lines.sort_values("regularizer", key=lambda names: names.ne(NONE), kind="stable")
    records = lines.to_dict("records")
    shown = pd.DataFrame(lines[["regularizer", "seeds", "epochs", "broke", "accuracy", "loss"]])
    columns = [Column("regularizer", "regulariser"), Column("seeds", "seeds", formats.amount)]
    if lines["epochs"].nunique() > 1:
        columns.append(Column("epochs", "epochs", formats.amount))
    if lines["broke"].any():
        columns.append(Column("broke", "broke down", formats.amount))
    accurate = bool(lines["accuracy"].notna().any())
    if accurate:
        columns.append(Column("accuracy", "test accuracy", formats.percent))
    columns.append(Column("loss", "training loss", formats.error))
    for name, heading in QUANTITIES.items():
        if lines[name].isna().all() or (name == "test_loss ratio" and accurate):
            continue
        shown[name] = [_beside(line, name) for line in records]
        columns.append(Column(name, heading))
    return shown, tuple(columns)


def _beside(line: Mapping[str, Any], name: str) -> str:
    ours = _range(line, name)
    theirs = published_training(line["task"], line["regularizer"]).get(name)
    if line["regularizer"] == NONE or theirs is None or pd.isna(theirs):
        return ours
    return f"{ours or formats.NONE} ({_number(theirs, name)})"


def _range(line: Mapping[str, Any], name: str) -> str:
    if pd.isna(line[name]):
        return ""
    if line["regularizer"] == NONE:
        return "0" if name == "points" else "1"
    low, high = line[f"{name} low"], line[f"{name} high"]
    middle = _number(line[name], name)
    return middle if low == high else f"{middle} [{_number(low, name)}, {_number(high, name)}]"


def _number(value: float | None, name: str) -> str:
    if value is None or pd.isna(value):
        return ""
    return f"{value:+.1f}" if name == "points" else f"{value:.2f}"
