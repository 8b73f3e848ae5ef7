"""The trainings that several claims are measured by, and their figures."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..measuring.row import ClaimRow
from ..measuring.timing import Silence
from .claim import Figures
from .median_and_range import extent

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
QUICK_EPOCHS, EPOCHS = 3, 60
QUICK_SEEDS, SEEDS = (0, 1), (0, 1, 2, 3, 4)


@functools.cache
def _epochs(quick: bool) -> pd.DataFrame:
    """One row an epoch of every training: each regulariser from each seed."""
    import pandas as pd

    from ...training import train

    epochs = QUICK_EPOCHS if quick else EPOCHS
    tables = []
    with _programs_kept():
        for regularizer in REGULARIZERS:
            for seed in QUICK_SEEDS if quick else SEEDS:
                found = train(TASK, regularizer=regularizer, epochs=epochs, seed=seed)
                about = {"task": TASK, "method": "jax-discrete", "regularizer": regularizer}
                about |= {"coefficients": "", "seed": seed, "epochs": epochs}
                run = f"{regularizer} {seed}"
                tables.append(pd.DataFrame(found.rows).assign(**about, run=run))
    return pd.concat(tables, ignore_index=True)


@contextmanager
def _programs_kept() -> Iterator[None]:
    """Keep compiled programs on disk: seeds differ in their arguments alone."""
    import jax

    wanted = {
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    with tempfile.TemporaryDirectory() as folder:
        before = {
            name: getattr(jax.config, name) for name in (*wanted, "jax_compilation_cache_dir")
        }
        for name, value in (wanted | {"jax_compilation_cache_dir": folder}).items():
            jax.config.update(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                jax.config.update(name, value)


def epochs_of(claims: Iterable[ClaimRow]) -> list[dict[str, Any]]:
    """The epochs that rows of claims hold, where trainings were measured."""
    return next((row.figures.get("lines", []) for row in claims if row.number == "10"), [])


@functools.cache
def _ratios(quick: bool) -> pd.DataFrame:
    """The last epoch of every training beside that of the same seed with no regulariser."""
    from ...training.ratios import ratios

    return ratios(_epochs(quick))


def _of(quick: bool, regularizer: str, column: str) -> list[float]:
    """A column of the last epochs by seed, of the trainings that ended well."""
    last = _ratios(quick)
    mine = last[last["regularizer"].eq(regularizer) & last["status"].eq("ok")]
    return mine.sort_values("seed")[column].tolist()


def _size(quick: bool) -> Figures:
    last = _ratios(quick)
    return {
        "epochs": QUICK_EPOCHS if quick else EPOCHS,
        "seeds": len(QUICK_SEEDS if quick else SEEDS),
        "broke_down": int(last["status"].ne("ok").sum()),
    }


def _table(quick: bool) -> Figures:
    """What each training came to."""
    columns = ["regularizer", "seed", "status", "nfe", "steps", "train_seconds"]
    columns += ["predict_seconds", "test_accuracy"]
    return {"lines": _ratios(quick)[columns].to_dict("records")}


def evaluations_while_training(quick: bool, silence: Silence) -> Figures:
    """Evaluations of one solve of the first batch by epoch, with no regulariser."""
    epochs = _epochs(quick)
    plain = epochs[epochs["regularizer"].eq("none")]
    first = plain[plain["epoch"].eq(0)].set_index("seed")["nfe"]
    last = plain.sort_values("epoch").groupby("seed")["nfe"].last()
    return {
        **extent("growth", (last / first).tolist()),
        **_size(quick),
        "first": float(first.median()),
        "last": float(last.median()),
        "lines": epochs[list(EPOCH_COLUMNS)].to_dict("records"),
    }


def error_over_none(quick: bool, silence: Silence) -> Figures:
    """Training time with the error estimate over that with nothing added."""
    return {
        **extent("ratio", _of(quick, "error", "train_seconds ratio")),
        **extent("work_ratio", _of(quick, "error", "work ratio")),
        **_size(quick),
        **_table(quick),
    }


def taylor_over_error(quick: bool, silence: Silence) -> Figures:
    """Training time with Taylor's regulariser over that with the error estimate."""
    pairs = zip(
        _of(quick, "taylor", "train_seconds"), _of(quick, "error", "train_seconds"), strict=True
    )
    return {**extent("ratio", [taylor / error for taylor, error in pairs]), **_size(quick)}


def taylor_over_none(quick: bool, silence: Silence) -> Figures:
    """Training time with Taylor's regulariser over that with nothing added."""
    return {**extent("ratio", _of(quick, "taylor", "train_seconds ratio")), **_size(quick)}


def prediction(quick: bool, silence: Silence) -> Figures:
    """Prediction time and accuracy with the error estimate against nothing added."""
    return {
        **extent("ratio", _of(quick, "error", "predict_seconds ratio")),
        **extent("evaluations_ratio", _of(quick, "error", "nfe ratio")),
        **extent("points", _of(quick, "error", "points")),
        **_size(quick),
    }


def steps_of_the_solver(quick: bool, silence: Silence) -> Figures:
    """Accepted steps of the last epoch with each regulariser over those with nothing added."""
    plain = _of(quick, "none", "steps")

    def over(name: str) -> list[float]:
        return [mine / none for mine, none in zip(_of(quick, name, "steps"), plain, strict=True)]

    return {
        **extent("ratio", over("error")),
        **extent("taylor_ratio", over("taylor")),
        **_size(quick),
    }
