"""The trainings that several claims are measured by, and their figures."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..measuring.machine import machine_name
from ..measuring.row import ClaimRow
from ..measuring.shared_programs import shared_programs
from ..measuring.timing import Silence
from .claim import Figures
from .training_figures import FIGURES, Trainings

if TYPE_CHECKING:
    import pandas as pd

TASK = "digits-float64"
REGULARIZERS = ("none", "error", "taylor")
#: What the row of claim 10 keeps of every epoch.
EPOCH_COLUMNS = (
    "run",
    "regularizer",
    "seed",
    "epoch",
    "status",
    "nfe",
    "steps",
    "train_seconds",
    "steps_per_second",
    "predict_seconds",
    "test_accuracy",
)
#: What that of claim 11 keeps of the last.
_LAST_COLUMNS = ("regularizer", "seed", "status", "nfe", "steps", "train_seconds")
_LAST_COLUMNS += ("predict_seconds", "train_loss", "equal_loss", "equal_loss_seconds ratio")
_LAST_COLUMNS += ("test_accuracy",)
QUICK_EPOCHS, EPOCHS = 3, 60
QUICK_SEEDS, SEEDS = (0, 1), (0, 1, 2, 3, 4)


@functools.cache
def _epochs(quick: bool) -> pd.DataFrame:
    """One row an epoch of every training: each regulariser from each seed."""
    import pandas as pd

    from ...training import train

    epochs = QUICK_EPOCHS if quick else EPOCHS
    tables = []
    # Seeds differ in their arguments alone.
    with shared_programs():
        for regularizer in REGULARIZERS:
            for seed in QUICK_SEEDS if quick else SEEDS:
                found = train(TASK, regularizer=regularizer, epochs=epochs, seed=seed)
                about = {"task": TASK, "method": "jax-discrete", "regularizer": regularizer}
                about |= {"coefficients": "", "seed": seed, "epochs": epochs}
                about |= {"machine": machine_name()}
                run = f"{regularizer} {seed}"
                tables.append(pd.DataFrame(found.rows).assign(**about, run=run))
    return pd.concat(tables, ignore_index=True)


def epochs_of(claims: Iterable[ClaimRow]) -> list[dict[str, Any]]:
    """The epochs that rows of claims hold, where trainings were measured."""
    return next((row.figures.get("lines", []) for row in claims if row.number == "10"), [])


@functools.cache
def _trainings(quick: bool) -> Trainings:
    return Trainings(_epochs(quick))


def measures(key: str) -> Callable[[bool, Silence], Figures]:
    """What measures the claim of this number, on the task and the regularisers of this file."""

    def measure(quick: bool, silence: Silence) -> Figures:
        found = dict(FIGURES[key](_trainings(quick)))
        if key == "10":
            found["lines"] = _epochs(quick)[list(EPOCH_COLUMNS)].to_dict("records")
        if key == "11":
            found["lines"] = _trainings(quick).last[list(_LAST_COLUMNS)].to_dict("records")
        return found

    return measure
