"""What ``results/`` says of error-regularised training, as tables for the documentation."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from render import table

from adjointbench.reports.sections.training_claims import by_task, verdicts_on_tasks
from adjointbench.reports.tables.published import EXPERIMENTS, TRAININGS
from adjointbench.reports.tables.trainings import beside_published, by_experiment
from adjointbench.training.ratios import read_trainings, summary_of

RESULTS = Path(__file__).resolve().parents[1] / "results"


@functools.cache
def _epochs() -> pd.DataFrame:
    """All rows that are kept; one that cannot be read is an error."""
    troubles: list[str] = []
    found = read_trainings([RESULTS], troubles)
    if troubles:
        raise ValueError("; ".join(troubles))
    return found


def training_tables() -> str:
    """For each published experiment the trainings of ours that make it again or stand in for it."""
    return "\n\n".join(text for name in TRAININGS for text in (f"### {name}", *_tables(name)))


def _tables(experiment: str) -> Iterator[str]:
    epochs = _epochs()
    tasks = [task for task, of in EXPERIMENTS.items() if of == experiment]
    mine = epochs[epochs["task"].str.split(" ").str[0].isin(tasks)] if len(epochs) else epochs
    if mine.empty:
        yield "No rows are kept of it yet."
        return
    summaries = by_experiment(summary_of(mine))
    for (task, method), lines in summaries.groupby(["task", "method"], sort=False):
        first = mine[mine["task"].eq(task) & mine["method"].eq(method)].iloc[0]
        yield f"`{task}` by `{method}`: {first['dtype']}, relative tolerance {first['rtol']:g}."
        shown, columns = beside_published(lines)
        heads = [f">{c.heading}" if c.name != "regularizer" else c.heading for c in columns]
        cells = ([c.write(line[c.name]) for c in columns] for line in shown.to_dict("records"))
        yield table(heads, cells)


def training_verdicts() -> str:
    """What is said of trainings, a verdict and a figure for each task."""
    epochs = _epochs()
    verdicts = verdicts_on_tasks(epochs) if len(epochs) else epochs
    if verdicts.empty:
        return "No rows are kept yet."
    wide = by_task(verdicts)
    return table(("what is said", *map(str, wide.columns[1:])), wide.to_numpy().tolist())
