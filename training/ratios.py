"""Trainings as tidy tables: every epoch of every run, and ratios to training with nothing added."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportReturnType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from .records import LOCAL_BIASED, ROWS, SETTINGS, RunRecord

NONE, UNFINISHED = "none", "unfinished"
#: What tells one kind of run from another.
KIND = ["task", "method", "regularizer"]

#: Figures whose ratio to those of a run with no regulariser is told, and what they are called.
RATIOS = {
    "train_seconds": "train time",
    "predict_seconds": "predict time",
    "nfe": "evaluations",
    "work": "evaluations × batches",
}


def read_trainings(paths: Iterable[Path], troubles: list[str]) -> pd.DataFrame:
    """One row an epoch of all runs below `paths`; empty where there is none.

    Parameters
    ----------
    paths : iterable of Path
        Folders, searched through.
    troubles : list of str
        Gets a sentence for each run that cannot be read.
    """
    tables = []
    for path in map(Path, paths):
        for file in sorted(path.rglob(ROWS)) if path.is_dir() else ():
            try:
                settings = json.loads((file.parent / SETTINGS).read_text(encoding="utf-8"))
                rows = pd.read_csv(file)
                rows = rows.assign(**_kind(settings), run=str(file.parent))
            except (OSError, ValueError, KeyError) as error:
                troubles.append(f"{file}: cannot be read ({type(error).__name__}: {error})")
                continue
            tables.append(rows)
    if not tables:
        return pd.DataFrame()
    return _with_coefficients(pd.concat(tables, ignore_index=True))


def _kind(settings: RunRecord) -> dict[str, Any]:
    regularizer = settings["regularizer"]
    return {
        "task": settings["task"],
        "method": settings["method"],
        "regularizer": NONE if regularizer is None else _name(regularizer),
        "coefficients": " ".join(
            f"{a:g}" if b is None else f"{a:g}:{b:g}" for a, b in settings["coefficients"]
        ),
        "seed": settings["seed"],
        "epochs": settings["epochs"],
        "rtol": settings["rtol"],
        "dtype": settings["dtype"],
    }


def _name(regularizer: dict[str, Any]) -> str:
    if regularizer["name"] == "local" and regularizer["sampling"] == "accepted":
        return LOCAL_BIASED
    return regularizer["name"]


def _with_coefficients(epochs: pd.DataFrame) -> pd.DataFrame:
    """Name the coefficients where a regulariser was trained with several."""
    several = epochs.groupby(KIND)["coefficients"].transform("nunique").gt(1)
    named = epochs["regularizer"] + " " + epochs["coefficients"]
    return epochs.assign(regularizer=epochs["regularizer"].where(~several, named))


def last_epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    """One row a run: its last epoch, with the evaluations of all its batches as ``work``.

    A run that has epochs to go has the status ``"unfinished"``, and counts in no ratio.
    """
    ordered = epochs.sort_values(["run", "epoch"])
    work = ordered.groupby("run")["forward_evals"].sum(min_count=1)
    last = ordered.groupby("run", sort=False).tail(1)
    cut_off = last["status"].eq("ok") & last["epoch"].lt(last["epochs"])
    status = last["status"].mask(cut_off, UNFINISHED)
    last = last.assign(work=last["run"].map(work), status=status)
    return last.sort_values([*KIND, "seed"]).reset_index(drop=True)


def ratios(epochs: pd.DataFrame) -> pd.DataFrame:
    """Each run beside the one of its task, method and seed with no regulariser.

    Returns
    -------
    DataFrame
        The last epochs with a column ``"... ratio"`` for each of :data:`RATIOS`, and ``points``,
        the difference of test accuracies in percent.
    """
    last = last_epochs(epochs)
    plain = last[last["regularizer"].eq(NONE) & last["status"].eq("ok")]
    merged = last.merge(
        plain[["task", "method", "seed", *RATIOS, "test_accuracy"]],
        on=["task", "method", "seed"],
        how="left",
        suffixes=("", " of none"),
    )
    broke = merged["status"].ne("ok")
    for name in RATIOS:
        merged[f"{name} ratio"] = (merged[name] / merged[f"{name} of none"]).mask(broke)
    difference = merged["test_accuracy"] - merged["test_accuracy of none"]
    return merged.assign(points=100 * difference.mask(broke))


def summary_of(epochs: pd.DataFrame) -> pd.DataFrame:
    """One row a kind of run: medians over the seeds that ended well, smallest and largest."""
    lines = []
    for kind, runs in ratios(epochs).groupby(KIND, sort=False):
        line: dict[str, Any] = dict(zip(KIND, kind, strict=True))
        line |= {"seeds": len(runs), "broke": int((~runs["status"].isin(("ok", UNFINISHED))).sum())}
        runs = runs[runs["status"].eq("ok")]
        line["accuracy"] = runs["test_accuracy"].median()
        line["loss"] = runs["train_loss"].median()
        for name in (*(f"{ratio} ratio" for ratio in RATIOS), "points"):
            values = runs[name].dropna()
            line[name] = values.median()
            line[f"{name} low"], line[f"{name} high"] = values.min(), values.max()
        line["train_seconds"] = runs["train_seconds"].median()
        line["nfe"] = runs["nfe"].median()
        lines.append(line)
    return pd.DataFrame(lines)


def families_of(epochs: pd.DataFrame) -> pd.DataFrame:
    """One row a task, regulariser and method, of what was trained by several methods.

    Returns
    -------
    DataFrame
        Medians over the seeds: seconds a step, test accuracy and training loss at the end, the
        gradient's first and last estimated error, and how many runs broke down.
    """
    last = last_epochs(epochs)
    last = last[last["status"].ne(UNFINISHED)]
    several = last.groupby(["task", "regularizer"])["method"].transform("nunique").gt(1)
    estimates = epochs.sort_values("epoch").groupby("run")["gradient_error"]
    first, latest = estimates.first(), estimates.last()
    last = last[several].assign(
        first_error=lambda runs: runs["run"].map(first),
        gradient_error=lambda runs: runs["run"].map(latest),
    )
    lines = []
    for kind, runs in last.groupby(["task", "regularizer", "method"], sort=False):
        line = dict(zip(("task", "regularizer", "method"), kind, strict=True))
        line["seeds"] = len(runs)
        line["broke"] = int((~runs["status"].isin(("ok", UNFINISHED))).sum())
        line["step_seconds"] = (1.0 / runs["steps_per_second"]).median()
        for name in ("test_accuracy", "train_loss", "first_error", "gradient_error"):
            line[name] = runs[name].median()
        lines.append(line)
    return pd.DataFrame(lines)
