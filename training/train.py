"""``train``: epochs, rows, checkpoints, and going on after an interruption."""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from ..adjoints.program import Work
from ..adjoints.regularizers.regularized import shares_of_steps
from .gradient_error import GradientError
from .loss_gradient import Evaluation, LossGradient
from .records import COLUMNS, Epoch
from .run_folder import claim, read_checkpoint, write_checkpoint, write_rows
from .settings import RunSettings, run_settings
from .task import Task

#: What is known of an epoch so far: some of the columns of an :class:`Epoch`.
Found = dict[str, Any]

#: Calls whose median is the time of a prediction.
_PREDICTIONS = 5


class Trainer(Protocol):
    """A backend's part: see :class:`~adjointbench.training.jax_trainer.JaxTrainer`."""

    def step(
        self, indices: np.ndarray, drawn: Any, coefficients: tuple[float, ...], rate: float
    ) -> None:
        """One step of the optimiser."""
        ...

    def totals(self) -> tuple[str, float, Work]:
        """Status, summed loss and counts since the last call."""
        ...

    def wait(self) -> None:
        """Until the device is done."""
        ...

    def evaluate(self, samples: str, indices: np.ndarray) -> Evaluation:
        """A solve with no gradient."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights and the optimiser's state."""
        ...

    def restore(self, arrays: Any) -> None:
        """Continue from them."""
        ...

    def params(self) -> dict[str, np.ndarray]:
        """The weights."""
        ...


@dataclass
class Training:
    """What a training left behind.

    Attributes
    ----------
    settings : RunSettings
    status : str
        ``"ok"``, or what ended it early.
    rows : list of Epoch
        One an epoch, the first (epoch 0) before any training.
    params : dict of str to ndarray
        The weights at the end.
    """

    settings: RunSettings
    status: str = "ok"
    rows: list[Epoch] = field(default_factory=list)
    params: dict[str, np.ndarray] = field(default_factory=dict)


def train(
    task: str,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    gradient_error: bool = False,
    say: Callable[[Epoch], object] | None = None,
    **options: Any,
) -> Training:
    """Train a task; one row an epoch.

    Parameters
    ----------
    task : str
        A name of :data:`~adjointbench.training.presets.PRESETS`.
    out : path, optional
        A folder for ``epochs.csv``, ``settings.json`` and the checkpoint, written as epochs end.
    resume : bool
        Go on from the checkpoint in `out`, to the same numbers as without the interruption; from
        the start where there is none.
    gradient_error : bool
        Whether rows tell the relative error of the method's gradient on the first batch, against
        a discrete adjoint at a thousandth of the tolerances. Not with a regulariser.
    say : callable, optional
        Gets each row.
    **options
        See :func:`~adjointbench.training.settings.run_settings`.

    Returns
    -------
    Training
        A solve that breaks down ends it, with its status and its rows.

    Raises
    ------
    ValueError
        For arguments that make no sense, or where `out` holds another run.
    """
    settings = run_settings(task, **options)
    preset = settings.preset
    folder = None if out is None else Path(out)
    if folder is not None:
        claim(folder, settings, resume)
    made = preset.task(seed=settings.seed, dtype=preset.dtype, **settings.task_options)
    loss_gradient = LossGradient(made, settings)
    module = importlib.import_module(f".{settings.backend}_trainer", __package__)
    trainer: Trainer = getattr(module, f"{settings.backend.capitalize()}Trainer")(loss_gradient)
    training = Training(settings)
    epoch = _go_on(folder, trainer, training) if resume and folder is not None else 0
    watch = GradientError(loss_gradient) if gradient_error else None
    if epoch == 0:
        _add(training, {**_untrained(), **_evaluated(trainer, made)}, folder, trainer, say)
    for row in _epochs(loss_gradient, trainer, training, epoch):
        if watch is not None:
            row["gradient_error"] = watch(trainer.params())
        _add(training, row, folder, trainer, say)
    training.params = trainer.params()
    return training


def _epochs(
    loss_gradient: LossGradient, trainer: Trainer, training: Training, done: int
) -> Iterator[Found]:
    """One row an epoch, until the last or until the training breaks down."""
    settings, task = loss_gradient.settings, loss_gradient.task
    warm = False
    for epoch in range(done, settings.epochs):
        if training.status != "ok":
            return
        random = np.random.RandomState((settings.seed * 100_003 + epoch) % 2**32)
        shares = _shares(loss_gradient, trainer)
        coefficients = loss_gradient.coefficients(epoch)
        batches = list(_batches(task, random))
        if not warm:
            _warm_up(loss_gradient, trainer, batches[0], epoch)
            warm = True
        began = time.perf_counter()
        for number, indices in enumerate(batches):
            rate = settings.preset.optimizer.rate(epoch * len(batches) + number)
            trainer.step(indices, loss_gradient.drawn(epoch, random, shares), coefficients, rate)
        trainer.wait()
        seconds = time.perf_counter() - began
        status, loss, work = trainer.totals()
        training.status = status
        before = training.rows[-1]["train_seconds"] if training.rows else 0.0
        yield {
            "epoch": epoch + 1,
            "status": status,
            "loss": loss / len(batches),
            "forward_evals": work.rhs_evals or None,
            "reverse_evals": work.reverse_evals or None,
            "steps": work.steps or None,
            "rejected": work.rejected if work.steps else None,
            "coefficient": " ".join(f"{c:.6g}" for c in coefficients) or None,
            "train_seconds": before + seconds,
            "steps_per_second": len(batches) / seconds,
            **_evaluated(trainer, task),
        }


def _warm_up(
    loss_gradient: LossGradient, trainer: Trainer, indices: np.ndarray, epoch: int
) -> None:
    """Compile a step, and leave no trace of it."""
    kept = {name: array.copy() for name, array in trainer.arrays().items()}
    drawn = loss_gradient.drawn(epoch, np.random.RandomState(0))
    trainer.step(indices, drawn, loss_gradient.coefficients(epoch), 0.0)
    trainer.wait()
    trainer.totals()
    trainer.restore(kept)


def _shares(loss_gradient: LossGradient, trainer: Trainer) -> np.ndarray | None:
    """How the steps of the first batch lie over the span, where a local step is drawn by them."""
    penalty = loss_gradient.settings.regularizer
    if penalty is None or penalty.name != "local" or penalty.sampling != "accepted":
        return None
    accepted = trainer.evaluate("train", _first(loss_gradient.task)).accepted
    return shares_of_steps(loss_gradient.task.problem, penalty, accepted)


def _batches(task: Task, random: np.random.RandomState) -> Iterator[np.ndarray]:
    if not task.train:
        yield from (np.zeros(0, np.int64) for _ in range(task.steps))
        return
    order = random.permutation(len(task.train["y0"]))
    for number in range(task.steps_per_epoch):
        yield order[number * task.batch : (number + 1) * task.batch]


def _first(task: Task) -> np.ndarray:
    return np.arange(task.batch)


def _untrained() -> Found:
    return {"epoch": 0, "status": "ok", "train_seconds": 0.0}


def _evaluated(trainer: Trainer, task: Task) -> Found:
    """Losses, accuracies, evaluations and estimates on the first batch, and a prediction's time."""
    first = trainer.evaluate("train", _first(task))
    found: Found = {"nfe": first.rhs_evals, **first.estimates}
    found["train_loss"], found["train_accuracy"] = _judged(trainer, task, "train")
    if task.test:
        found["test_loss"], found["test_accuracy"] = _judged(trainer, task, "test")
    samples = "test" if task.test and task.train else "train"
    seconds = []
    for _ in range(_PREDICTIONS):
        began = time.perf_counter()
        trainer.evaluate(samples, _first(task))
        seconds.append(time.perf_counter() - began)
    return {**found, "predict_seconds": statistics.median(seconds)}


def _judged(trainer: Trainer, task: Task, samples: str) -> tuple[float, float | None]:
    """Mean loss, and share of the samples told right; the last batch begins anew where it ends."""
    if not task.train:
        return trainer.evaluate(samples, _first(task)).loss, None
    count = len(getattr(task, samples)["y0"])
    losses, right = 0.0, 0
    for start in range(0, count, task.batch):
        fresh = min(task.batch, count - start)
        found = trainer.evaluate(samples, (start + np.arange(task.batch)) % count)
        losses += fresh * found.loss
        right += 0 if found.correct is None else int(found.correct[:fresh].sum())
    return losses / count, None if task.correct is None else right / count


def _add(
    training: Training,
    found: Found,
    folder: Path | None,
    trainer: Trainer,
    say: Callable[[Epoch], object] | None,
) -> None:
    """Keep a row, in memory and in the folder; the checkpoint follows it."""
    row = cast(Epoch, {name: found.get(name) for name in COLUMNS})
    training.rows.append(row)
    if folder is not None:
        write_rows(folder, training.rows)
        write_checkpoint(folder, trainer.arrays(), row["epoch"], training.status)
    if say is not None:
        say(row)


def _go_on(folder: Path, trainer: Trainer, training: Training) -> int:
    """Take over weights, rows and status of the checkpoint; its epoch, 0 where there is none."""
    found = read_checkpoint(folder)
    if found is None:
        return 0
    arrays, epoch, training.status, training.rows = found
    trainer.restore(arrays)
    return epoch
