"""What a training cost until it had come to a loss, over what another cost until then."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false

from __future__ import annotations

import math

import numpy as np
import pandas as pd

#: Columns of ratios, and what they are called.
EQUAL_LOSS = {
    "equal_loss_seconds ratio": "to the same loss",
    "halfway_seconds ratio": "half way there",
    "equal_loss_work ratio": "evaluations × batches to the same loss",
    "halfway_work ratio": "evaluations × batches half way there",
}


def equal_loss(run: pd.DataFrame, plain: pd.DataFrame) -> dict[str, float]:
    """What a run took until its training loss first was at a target, over what another took.

    One target is the larger of the two final losses, as the other may never have come so far as
    the smaller one; one is half way to it, the geometric mean of it and of the loss before any
    training. Between epochs it goes in a straight line.

    Parameters
    ----------
    run, plain : DataFrame
        The epochs of both in order, the first before any training.

    Returns
    -------
    dict of str to float
        :data:`EQUAL_LOSS`, and the targets as ``"equal_loss"`` and ``"halfway"``. NaN where a loss
        is none, and where the target is no smaller than the untrained loss: nothing was learnt.
    """
    first = float(plain["train_loss"].iloc[0])
    final = float(np.maximum(run["train_loss"].iloc[-1], plain["train_loss"].iloc[-1]))
    middle = math.sqrt(first * final) if first > 0 and final > 0 else math.nan
    found = {"equal_loss": final, "halfway": middle}
    for name, target in (("equal_loss", final), ("halfway", middle)):
        for quantity, spent in (("seconds", _seconds), ("work", _work)):
            mine, theirs = (
                _until(r["train_loss"].to_numpy(), spent(r), target) for r in (run, plain)
            )
            known = first > target and theirs > 0
            found[f"{name}_{quantity} ratio"] = mine / theirs if known else math.nan
    return found


def _seconds(epochs: pd.DataFrame) -> np.ndarray:
    return epochs["train_seconds"].to_numpy(float)


def _work(epochs: pd.DataFrame) -> np.ndarray:
    """Evaluations of all forward solves so far."""
    done = epochs["forward_evals"].to_numpy(float)
    return np.concatenate([[0.0], np.cumsum(done[1:])])


def _until(losses: np.ndarray, spent: np.ndarray, target: float) -> float:
    """What was spent until the losses first were at most `target`; NaN where they never were."""
    below = np.flatnonzero(losses <= target)
    if not len(below):
        return math.nan
    after = int(below[0])
    if after == 0:
        return float(spent[0])
    before = after - 1
    share = (losses[before] - target) / (losses[before] - losses[after])
    return float(spent[before] + share * (spent[after] - spent[before]))
