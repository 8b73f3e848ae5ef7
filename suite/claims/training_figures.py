"""What trainings of one task say to claims: figures from epochs, whoever has trained them."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..measuring.equal_times import NOISE
from .claim import REASON, Figures
from .median_and_range import extent

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Trainings:
    """All trainings of one task by one method.

    Attributes
    ----------
    epochs : DataFrame
        As :func:`~adjointbench.training.ratios.read_trainings` gives them.
    error, taylor : str
        What the regularisers are called there that claims are about.
    """

    epochs: pd.DataFrame
    error: str = "error"
    taylor: str = "taylor"

    @functools.cached_property
    def last(self) -> pd.DataFrame:
        """The last epoch of each beside that of the same seed with no regulariser."""
        from ...training.ratios import ratios

        return ratios(self.epochs)

    def ended(self, regularizer: str) -> pd.DataFrame:
        """The last epochs of one regulariser that ended well, by seed."""
        last = self.last
        mine = last[last["regularizer"].eq(regularizer) & last["status"].eq("ok")]
        return mine.set_index("seed").sort_index()

    def extent(self, name: str, regularizer: str, column: str) -> Figures:
        """A column of them as a figure: median, smallest and largest; none where none is known."""
        known = self.ended(regularizer)[column].dropna()
        return extent(name, known.tolist()) if len(known) else {}

    def size(self, *regularizers: str) -> Figures:
        """How many epochs and seeds there were."""
        runs = self.last[self.last["regularizer"].isin(regularizers)]
        ended = runs[runs["status"].eq("ok")]
        return {
            "epochs": int(ended["epoch"].max()) if len(ended) else 0,
            "seeds": int(ended.groupby("regularizer")["seed"].nunique().min()) if len(ended) else 0,
            "broke_down": int((~runs["status"].isin(("ok", "unfinished"))).sum()),
        }


def evaluations_while_training(trainings: Trainings) -> Figures:
    """Evaluations of one solve of the first batch by epoch, with no regulariser."""
    epochs = trainings.epochs
    plain = epochs[epochs["regularizer"].eq("none")].sort_values("epoch").groupby("seed")["nfe"]
    first, last = plain.first(), plain.last()
    return {
        **extent("growth", (last / first).tolist()),
        **trainings.size("none"),
        "first": float(first.median()),
        "last": float(last.median()),
    }


def error_over_none(trainings: Trainings) -> Figures:
    """Training time with the error estimate over that with nothing added."""
    ratio = _of_error(trainings)
    equal_loss = ratio("equal_loss_ratio", "equal_loss_seconds ratio")
    if not equal_loss:
        return {REASON: "It ended with a loss no smaller than that before any training."}
    return {
        **ratio("ratio", "train_seconds ratio"),
        **ratio("work_ratio", "work ratio"),
        **equal_loss,
        **ratio("halfway_ratio", "halfway_seconds ratio"),
        **trainings.size(trainings.error),
    }


def _of_error(trainings: Trainings) -> Callable[[str, str], Figures]:
    """A figure of the error estimate's trainings from a column."""
    return lambda name, column: trainings.extent(name, trainings.error, column)


def taylor_over_error(trainings: Trainings) -> Figures:
    """Training time with Taylor's regulariser over that with the error estimate."""
    epochs = trainings.epochs
    error = epochs[epochs["regularizer"].eq(trainings.error) & epochs["status"].eq("ok")]
    pairs = trainings.ended(trainings.taylor).merge(
        error[["seed", "epoch", "train_seconds"]], on=["seed", "epoch"], suffixes=("", " of error")
    )
    times = pairs["train_seconds"] / pairs["train_seconds of error"]
    size = {**trainings.size(trainings.taylor), "seeds": len(times)}
    return {**extent("ratio", times.tolist()), **size} if len(times) else size


def taylor_over_none(trainings: Trainings) -> Figures:
    """Training time with Taylor's regulariser over that with nothing added."""
    return {
        **trainings.extent("ratio", trainings.taylor, "train_seconds ratio"),
        **trainings.size(trainings.taylor),
    }


def prediction(trainings: Trainings) -> Figures:
    """Prediction time and accuracy, or test loss, with the error estimate against nothing added."""
    ratio = _of_error(trainings)
    points, loss = ratio("points", "points"), ratio("loss_ratio", "test_loss ratio")
    told = {}
    if points:
        told = {"accuracy": f"at {points['points']:+.1f} points of accuracy"}
    elif loss:
        told = {"accuracy": f"at {loss['loss_ratio']:.2f} times the test loss"}
    return {
        **ratio("ratio", "predict_seconds ratio"),
        **ratio("evaluations_ratio", "nfe ratio"),
        **points,
        **loss,
        **told,
        **trainings.size(trainings.error),
    }


def cost_of_the_estimate(trainings: Trainings) -> Figures:
    """Seconds of training over attempted steps, with the error estimate over none.

    Steps of unlike numbers are compared so: what a gradient takes beside them is shared out.
    """
    totals = (
        trainings.epochs.groupby(["regularizer", "seed"])[["steps", "rejected"]].sum().sum(axis=1)
    )

    def times(regularizer: str) -> pd.Series:
        spent = trainings.ended(regularizer)["train_seconds"]
        return spent / totals[regularizer].reindex(spent.index)

    ratio = (times(trainings.error) / times("none")).dropna()
    if ratio.median() * NOISE < 1:
        return {REASON: "The times were taken under unlike load: more work took less of it."}
    size = trainings.size(trainings.error)
    return {**extent("ratio", ratio.tolist()), **size} if len(ratio) else size


def steps_of_the_solver(trainings: Trainings) -> Figures:
    """Accepted steps of the last epoch with each regulariser over those with nothing added."""
    return {
        **trainings.extent("ratio", trainings.error, "steps ratio"),
        **trainings.extent("taylor_ratio", trainings.taylor, "steps ratio"),
        **trainings.size(trainings.error, trainings.taylor),
    }


#: By the claim's number.
FIGURES: Mapping[str, Callable[[Trainings], Figures]] = {
    "10": evaluations_while_training,
    "11": error_over_none,
    "12": taylor_over_error,
    "13": taylor_over_none,
    "14": prediction,
    "18": cost_of_the_estimate,
    "21": steps_of_the_solver,
}

#: What each of them needs.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "10": (),
    "12": ("error", "taylor"),
    "13": ("taylor",),
    "21": ("error", "taylor"),
}

#: Claims of methods, whatever is trained.
_ELSEWHERE = {
    "19": "It is of adjoints, not of a task: see the claim itself.",
    "20": "All were trained at one order: see the claim itself.",
}

#: The claims that trainings are asked about, in order.
ASKED = tuple(sorted((*FIGURES, *_ELSEWHERE), key=int))


def figures_of(key: str, trainings: Trainings) -> Figures:
    """The figures of a claim, or why there are none."""
    if key in _ELSEWHERE:
        return {REASON: _ELSEWHERE[key]}
    names = {"error": trainings.error, "taylor": trainings.taylor}
    for need in ("none", *(names[name] for name in _NEEDS.get(key, ("error",)))):
        if trainings.ended(need).empty:
            return {REASON: f"No training with {need} has come to its end."}
    return FIGURES[key](trainings)
