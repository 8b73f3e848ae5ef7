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

from .equal_loss import EQUAL_LOSS, equal_loss
from .records import LOCAL_BIASED, ROWS, SETTINGS, SEVERAL, RunRecord

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

#: The same, of all columns of which a ratio is told.
COMPARED = (*RATIOS, "steps", "train_loss", "test_loss")

#: Ratios of times, which mean nothing between two machines.
_OF_TIMES = (
    "train_seconds ratio",
    "predict_seconds ratio",
    *(name for name in EQUAL_LOSS if "seconds" in name),
)


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
    return _told_apart(pd.concat(tables, ignore_index=True))


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
        "machine": settings.get("made_with", {}).get("machine", ""),
        "epochs": settings["epochs"],
        "rtol": settings["rtol"],
        "dtype": settings["dtype"],
        "options": " ".join(f"{k}={v}" for k, v in settings.get("task_options", {}).items()),
    }


def _name(regularizer: dict[str, Any]) -> str:
    if regularizer["name"] == "local" and regularizer["sampling"] == "accepted":
        return LOCAL_BIASED
    return regularizer["name"]


def _told_apart(epochs: pd.DataFrame) -> pd.DataFrame:
    """Name what the same task, or the same regulariser, was trained with where that is several."""
    told = {"rtol": epochs["rtol"].map("rtol={:g}".format), "options": epochs["options"]}
    tasks = [_several(epochs, ["task"], name, how) for name, how in told.items()]
    epochs = epochs.assign(task=epochs["task"] + tasks[0] + tasks[1])
    regularizers = _several(epochs, KIND, "coefficients", epochs["coefficients"])
    return epochs.assign(regularizer=epochs["regularizer"] + regularizers)


def _several(epochs: pd.DataFrame, of: list[str], name: str, told: pd.Series) -> pd.Series:
    """What tells rows of one kind apart that differ in a column; nothing where they do not."""
    return (" " + told).where(epochs.groupby(of)[name].transform("nunique").gt(1) & told.ne(""), "")


def last_epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    """One row a run: its last epoch, with the evaluations of all its batches as ``work``.

    A run that has epochs to go has the status ``"unfinished"``, and counts in no ratio.
    """
    last = _with_work(epochs).groupby("run", sort=False).tail(1)
    cut_off = last["status"].eq("ok") & last["epoch"].lt(last["epochs"])
    status = last["status"].mask(cut_off, UNFINISHED)
    return last.assign(status=status).sort_values([*KIND, "seed"]).reset_index(drop=True)


def _with_work(epochs: pd.DataFrame) -> pd.DataFrame:
    """The epochs of each run in order, with the evaluations of all batches so far as ``work``."""
    ordered = epochs.sort_values(["run", "epoch"])
    done = ordered.groupby("run")["forward_evals"]
    return ordered.assign(work=done.cumsum().where(done.transform("count").gt(0)))


def ratios(epochs: pd.DataFrame) -> pd.DataFrame:
    """Each run beside the one of its task, method and seed with no regulariser, as far as it went.

    Returns
    -------
    DataFrame
        The last epochs, with a column ``"... ratio"`` for each of :data:`COMPARED`, those of
        :func:`~adjointbench.training.equal_loss.equal_loss`, and ``points``, the difference of
        test accuracies in percent. A run of fewer epochs than that beside it is compared with as
        many of them. Times of another machine than its are not compared.
    """
    last = last_epochs(epochs)
    same = ["task", "method", "seed", "epoch"]
    plain = _with_work(epochs[epochs["regularizer"].eq(NONE) & epochs["status"].eq("ok")])
    merged = last.merge(
        plain[[*same, "run", "machine", *COMPARED, "test_accuracy"]],
        on=same,
        how="left",
        suffixes=("", " of none"),
    )
    broke = merged["status"].ne("ok")
    for name in COMPARED:
        merged[f"{name} ratio"] = (merged[name] / merged[f"{name} of none"]).mask(broke)
    merged = merged.join(_at_equal_loss(epochs, merged[~broke]))
    elsewhere = _elsewhere(merged)
    for name in _OF_TIMES:
        merged[name] = merged[name].mask(elsewhere)
    difference = merged["test_accuracy"] - merged["test_accuracy of none"]
    return merged.assign(points=100 * difference.mask(broke))


def _elsewhere(merged: pd.DataFrame) -> pd.Series:
    """Which runs were trained on another machine than that beside them, or either on several."""
    own, other = merged["machine"].fillna(""), merged["machine of none"].fillna("")
    known = own.ne("") & other.ne("")
    return known & (own.ne(other) | own.str.contains(SEVERAL, regex=False))


def _at_equal_loss(epochs: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each of `runs`, under its index; NaN where there is nothing to compare with."""
    ordered = {str(name): rows for name, rows in epochs.sort_values("epoch").groupby("run")}
    found = {}
    for index, run in runs.iterrows():
        plain = ordered.get(run["run of none"])
        if plain is not None:
            as_far = plain[plain["epoch"].le(run["epoch"])]
            found[index] = equal_loss(ordered[run["run"]], as_far)
    columns = ["equal_loss", "halfway", *EQUAL_LOSS]
    return pd.DataFrame.from_dict(found, orient="index", columns=columns, dtype=float)


def summary_of(epochs: pd.DataFrame) -> pd.DataFrame:
    """One row a kind of run: medians over the seeds that ended well, smallest and largest."""
    lines = []
    for kind, runs in ratios(epochs).groupby(KIND, sort=False):
        line: dict[str, Any] = dict(zip(KIND, kind, strict=True))
        line |= {"seeds": len(runs), "broke": int((~runs["status"].isin(("ok", UNFINISHED))).sum())}
        line["epochs"] = runs["epochs"].max()
        runs = runs[runs["status"].eq("ok")]
        line["accuracy"] = runs["test_accuracy"].median()
        line["loss"] = runs["train_loss"].median()
        for name in (*(f"{ratio} ratio" for ratio in COMPARED), *EQUAL_LOSS, "points"):
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
