"""What is said of trained neural ODEs, judged on each task from its own trainings."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportReturnType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ...suite.claims.claim import NOT_MEASURED, Figures
from ...suite.claims.table import claim_of
from ...suite.claims.tasks import plain
from ...suite.claims.training_figures import ASKED, Trainings, figures_of
from ...training.ratios import NONE
from ..tables.shown_table import Column, as_table
from ..tables.trainings import by_experiment
from .content import Part

_NOTE = (
    "By the thresholds that stand with the claims, on the trainings of each task; where the error "
    "estimate was trained with several coefficients, each stands for itself. A dash: not measured "
    "there, as 19 and 20 are of adjoints and orders. With reasons: training_claims.csv."
)


def verdicts_on_tasks(epochs: pd.DataFrame) -> pd.DataFrame:
    """One line a claim, task, method and form of the error estimate: verdict, figure, reason.

    Parameters
    ----------
    epochs : DataFrame
        Of :func:`~adjointbench.training.ratios.read_trainings`.

    Returns
    -------
    DataFrame
        Without the tasks and methods that were trained with nothing added alone, or never so.
    """
    return pd.DataFrame(
        {
            "task": task,
            "method": method,
            "regularizer": found.error,
            "number": key,
            "claim": claim_of(key).sentence,
            "unit": claim_of(key).unit,
            "verdict": verdict.word,
            "figure": _figure(figures.get(claim_of(key).leading), figures, claim_of(key).leading),
            "why": verdict.sentence,
        }
        for task, method, found in _compared(epochs)
        for key in ASKED
        for figures in (plain(figures_of(key, found)),)
        for verdict in (claim_of(key).judge(figures),)
    )


def _compared(epochs: pd.DataFrame) -> Iterator[tuple[str, str, Trainings]]:
    """The trainings of each task and method, for each form of the error estimate."""
    for (task, method), mine in by_experiment(epochs).groupby(["task", "method"], sort=False):
        names = list(mine["regularizer"].unique())
        taylor = next((name for name in names if name.startswith("taylor")), "taylor")
        errors = [name for name in names if name.split(" ")[0] == "error"]
        if NONE in names and len(names) > 1:
            for error in errors or ["error"]:
                yield str(task), str(method), Trainings(mine, error, taylor)


def _figure(value: float | None, figures: Figures, name: str) -> str:
    """The leading figure, with smallest and largest where these differ; empty without."""
    if value is None:
        return ""
    low, high = figures[f"{name}_low"], figures[f"{name}_high"]
    return f"{value:.2f}" if low == high else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def by_task(verdicts: pd.DataFrame) -> pd.DataFrame:
    """A line a claim, a column a task: the verdict, and the figure behind it."""
    several = verdicts.groupby(["task", "method"])["regularizer"].transform("nunique").gt(1)
    others = verdicts.groupby("task")["method"].transform("nunique").gt(1)
    where = verdicts["task"] + (", " + verdicts["method"]).where(others, "")
    where += (", " + verdicts["regularizer"]).where(several, "")
    unknown = verdicts["verdict"].eq(NOT_MEASURED)
    told = verdicts["verdict"].where(unknown, verdicts["verdict"] + ": " + verdicts["figure"])
    told = told.mask(unknown, "–")
    said = verdicts["number"] + ". " + verdicts["claim"] + " Figure: " + verdicts["unit"] + "."
    table = pd.DataFrame({"claim": said, "where": where, "told": told})
    wide = table.pivot(index="claim", columns="where", values="told")
    return wide.loc[list(said.unique()), list(where.unique())].reset_index()


def training_claims_part(epochs: pd.DataFrame, out: Path) -> list[Part]:
    """The part about claims, which also writes ``training_claims.csv``; none without trainings."""
    verdicts = verdicts_on_tasks(epochs)
    if verdicts.empty:
        return []
    verdicts.to_csv(out / "training_claims.csv", index=False)
    wide = by_task(verdicts)
    columns = [Column("claim", "what is said"), *(Column(str(t), str(t)) for t in wide.columns[1:])]
    return [
        Part(
            heading="What is said, on each task",
            table=as_table(wide, columns, stacks=True),
            note=_NOTE,
            anchor="training-claims",
        )
    ]
