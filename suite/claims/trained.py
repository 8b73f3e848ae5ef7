"""Claims about training neural ODEs, all from the same trainings."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..measuring.timing import Silence
from .claim import Claim, Figures, Limit, Plot
from .judges import all_of, at_least, at_most
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


def epochs_of(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The epochs that rows of claims hold, where trainings were measured."""
    return next((r["figures"].get("lines", []) for r in rows if r.get("number") == "10"), [])


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


_PAL = "Pal et al., Opening the black box, ICML 2021, arXiv:2105.03918"
_KELLY = "Kelly et al., NeurIPS 2020, arXiv:2007.04504"
_WHAT = (
    "digits in float64 at tolerance 1.4e-8 by jax-discrete, equal epochs, times while other cores "
    "are at work"
)
_SAYS = " after {epochs} epochs from {seeds} seeds."

TRAINED = (
    Claim(
        key="10",
        sentence="The number of function evaluations grows as a neural ODE trains.",
        source=f"{_PAL}; {_KELLY}",
        measured=f"evaluations of a solve of the first batch after the last epoch over those "
        f"before the first, with no regulariser; {_WHAT}",
        measure=evaluations_while_training,
        leading="growth",
        unit="times the evaluations of the untrained network",
        limits={
            "holds": Limit(1.2, "growth from which evaluations grow"),
            "part": Limit(1.05, "from which they grow a little"),
        },
        decide=at_least(
            "growth",
            "From {first:.0f} to {last:.0f} evaluations, {growth:.2f} times as many," + _SAYS,
        ),
        group="training",
        plot=Plot("epoch", "nfe", "run", "epoch", "evaluations of one solve"),
    ),
    Claim(
        key="11",
        sentence="Error regularisation makes training cheaper than no regularisation.",
        source=_PAL,
        measured=f"training time with the error estimate (10 to 1) over none; {_WHAT}",
        measure=error_over_none,
        leading="ratio",
        unit="of the training time without",
        limits={
            "holds": Limit(0.95, "of the time without, up to which it is cheaper"),
            "part": Limit(1.05, "up to which it costs the same"),
        },
        decide=at_most(
            "ratio",
            "Training took {ratio:.2f} of the time without, and {work_ratio:.2f} of its "
            "evaluations," + _SAYS,
        ),
        published="0.84 on MNIST, 0.54 on Physionet (ICML 2021)",
        group="training",
    ),
    Claim(
        key="12",
        sentence="It is 10x faster than Taylor regularisation.",
        source=_PAL,
        measured=f"training time with Taylor (K = 3) over that with the error estimate; {_WHAT}",
        measure=taylor_over_error,
        leading="ratio",
        unit="times as fast as Taylor",
        limits={
            "holds": Limit(10.0, "times as fast"),
            "part": Limit(1.1, "times as fast, so that it is faster at all"),
        },
        decide=at_least("ratio", "It was {ratio:.2g} times as fast" + _SAYS),
        published="1.45 on MNIST, 13.1 on Physionet (ICML 2021)",
        group="training",
    ),
    Claim(
        key="13",
        sentence="Taylor regularisation takes twice as long to train.",
        source=_PAL,
        measured=f"training time with Taylor (K = 3) over none; {_WHAT}",
        measure=taylor_over_none,
        leading="ratio",
        unit="times the training time without",
        limits={
            "holds": Limit(2.0, "times as long, at least"),
            "part": Limit(1.1, "times as long, so that it is longer at all"),
        },
        decide=at_least("ratio", "Training took {ratio:.2g} times as long as without" + _SAYS),
        published="1.21 on MNIST, 7.0 on Physionet (ICML 2021)",
        group="training",
    ),
    Claim(
        key="14",
        sentence="Regularised models are faster at prediction at almost the same accuracy.",
        source=_PAL,
        measured=f"prediction time and test accuracy with the error estimate against none; {_WHAT}",
        measure=prediction,
        leading="ratio",
        unit="of the prediction time without",
        limits={
            "faster": Limit(0.9, "of the time without, up to which it is faster"),
            "points": Limit(1.0, "points of accuracy that may be lost"),
        },
        decide=all_of(
            "Prediction took {ratio:.2f} of the time without and {evaluations_ratio:.2f} of its "
            "evaluations, at {points:+.1f} points of accuracy," + _SAYS,
            faster=lambda f, t: f["ratio"] <= t["faster"].value,
            almost_as_accurate=lambda f, t: f["points"] >= -t["points"].value,
        ),
        published="0.64 of the time, -0.62 points on MNIST (ICML 2021)",
        group="training",
    ),
    Claim(
        key="21",
        sentence="Regularisation lowers the number of steps that the solver takes.",
        source=_PAL,
        measured=f"accepted steps of all solves of the last epoch with the error estimate over "
        f"none, and with Taylor; {_WHAT}",
        measure=steps_of_the_solver,
        leading="ratio",
        unit="of the steps without",
        limits={
            "holds": Limit(0.9, "of the steps without, up to which they are fewer"),
            "part": Limit(0.98, "up to which they are a little fewer"),
        },
        decide=at_most(
            "ratio",
            "With the error estimate the solver took {ratio:.2f} of the steps, with Taylor "
            "{taylor_ratio:.2f}," + _SAYS,
        ),
        published="evaluations 0.70 with the error estimate, 0.32 with Taylor on MNIST",
        group="training",
    ),
)
