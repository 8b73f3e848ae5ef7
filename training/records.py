"""What the folder of a run holds: the types of a row of ``epochs.csv`` and of ``settings.json``."""

from __future__ import annotations

from typing import Any, TypedDict

#: Their names, and that of the checkpoint.
ROWS, SETTINGS, CHECKPOINT = "epochs.csv", "settings.json", "checkpoint.npz"

#: What stands between the machines of a run that has gone on on another one.
SEVERAL = ", "

#: What a run is called whose ``"local"`` draws times as the accepted steps lie.
LOCAL_BIASED = "local-biased"


class Epoch(TypedDict):
    """One epoch; the first, epoch 0, is before any training. ``None`` is what is not known."""

    epoch: int
    #: ``"ok"``, or how the training broke down.
    status: str
    #: The mean loss of the epoch's batches, with the regulariser.
    loss: float | None
    #: After the epoch, over all samples and without the regulariser.
    train_loss: float | None
    train_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    #: Evaluations of the right-hand side in one solve of the first batch.
    nfe: int | None
    #: In all solves of the epoch, forward and in reverse.
    forward_evals: int | None
    reverse_evals: int | None
    #: Accepted and rejected steps of all its forward solves.
    steps: int | None
    rejected: int | None
    #: Estimates of the solver on the first batch.
    error: float | None
    error_squared: float | None
    stiffness: float | None
    #: The share of the first of them that is rounding, where that was looked at.
    rounding: float | None
    #: Of the regulariser; several with a space between.
    coefficient: str | None
    #: Estimated relative error of the gradient on the first batch, where that was asked for and
    #: due; and why the estimate is not reliable, where it is not.
    gradient_error: float | None
    gradient_doubt: str | None
    #: Seconds of all training steps so far, and of one prediction.
    train_seconds: float
    predict_seconds: float | None
    #: Of the epoch.
    steps_per_second: float | None
    #: Seconds of the first solve and the first training step so far, which compile.
    compile_seconds: float | None


#: What a row holds, in this order.
COLUMNS: tuple[str, ...] = tuple(Epoch.__annotations__)


class RunRecord(TypedDict):
    """What identifies a run: everything that its numbers depend on."""

    task: str
    #: A name of ``adjointbench.methods()``.
    method: str
    #: The fields of :class:`~adjointbench.Regularizer`.
    regularizer: dict[str, Any] | None
    #: Start and end of each term's coefficient; no end where it does not change.
    coefficients: list[list[float | None]]
    epochs: int
    seed: int
    differentiate_step_size: bool
    device: str
    task_options: dict[str, Any]
    rtol: float
    atol: float
    dtype: str
