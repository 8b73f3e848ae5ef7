"""``train``: epochs, one row each, and going on after an interruption."""

from __future__ import annotations

import contextlib
import importlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..adjoints.regularizers.regularized import shares_of_steps
from .gradient_error import GradientError, inaccurate
from .loss_gradient import LossGradient
from .records import Epoch
from .rounding import rounding_of, warning_of
from .run_folder import begin, held, standing
from .settings import RunSettings, run_settings
from .task import Task, count_of
from .training import Found, Trainer, Training

if TYPE_CHECKING:
    from .stochastic_gradient import StochasticGradient

    Gradient = LossGradient | StochasticGradient

#: Calls whose median is the time of a prediction.
_PREDICTIONS = 5


def train(
    task: str,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    gradient_error: bool = False,
    say: Callable[[Epoch], object] | None = None,
    tell: Callable[[str], object] | None = None,
    **options: Any,
) -> Training:
    """Train a task; one row an epoch.

    Parameters
    ----------
    task : str
        A name of :data:`~adjointbench.training.presets.PRESETS`.
    out : path, optional
        A folder for ``epochs.csv``, ``settings.json`` and the checkpoint, written as epochs end.
        Where one cannot be written, as on a full disk, the training goes on and tries again
        after the next: see ``Training.unsaved``.
    resume : bool
        Go on from the checkpoint in `out`, to the same numbers as without the interruption; from
        the start where there is none. With more ``epochs`` a run is made longer, but not one
        whose coefficient is annealed over them.
    gradient_error : bool
        Whether rows tell how far the method's gradient on the first batch is off, estimated from
        the same steps cut in two, as by ``error_bar`` of :func:`~adjointbench.prepare`: before any
        training and every so many epochs, so that it takes some 5 % of the time. Of the loss
        without a regulariser. What is off by more than 10 % is warned about once.
    say : callable, optional
        Gets each row.
    tell : callable, optional
        Gets sentences: what is being waited for, and what goes wrong on the way.
    **options
        See :func:`~adjointbench.training.settings.run_settings`.

    Returns
    -------
    Training
        A solve that breaks down ends it, with its status and its rows.

    Raises
    ------
    ValueError
        For arguments that make no sense, or where `out` holds another run or is in use.
    """
    settings = run_settings(task, **options)
    if out is None and resume:
        raise ValueError("resume=True goes on from what is in out; pass out= (--out FOLDER) too")
    if gradient_error and settings.preset.stochastic:
        raise ValueError(
            f"gradient_error=True: the gradient of the task {task!r} cannot tell its error, as "
            "steps cut in two see more of the Brownian path; leave it out"
        )
    training = Training(settings, say=say, tell=tell)
    with contextlib.ExitStack() as stack:
        if out is not None:
            training.folder = stack.enter_context(held(Path(out)))
        _train(training, resume, gradient_error)
    return training


def _train(training: Training, resume: bool, gradient_error: bool) -> None:
    """All epochs that are missing."""
    settings, folder = training.settings, training.folder
    found = None if folder is None else standing(folder, settings, resume)
    training.told(f"preparing {settings.preset.name} with {settings.method} ...")
    loss_gradient, trainer = _prepared(settings)
    watch = _watch(training, loss_gradient) if gradient_error else None
    if folder is not None:
        begin(folder, settings)
    if found is not None:
        trainer.restore(found.arrays)
        training.go_on(found)
    epoch = 0 if found is None else found.epoch
    if training.status == "ok" and (epoch < settings.epochs or found is None):
        _first_solve(training, trainer, loss_gradient.task)
    rows = _epochs(loss_gradient, trainer, training, epoch)
    if found is None:
        rows = chain([{**_untrained(), **_evaluated(trainer, loss_gradient)}], rows)
    for row in rows:
        if watch is not None and watch.due(row["epoch"]):
            row |= _estimated(watch, training, row["epoch"], trainer.params())
        _warn_of_rounding(training, row)
        training.add(row, trainer)
    training.params = trainer.params()


def _watch(training: Training, loss_gradient: Gradient) -> GradientError:
    """The gradient that tells its error, prepared."""
    assert isinstance(loss_gradient, LossGradient)
    watch = GradientError(loss_gradient)
    training.told(f"the gradient's error is estimated every {watch.every} epochs")
    return watch


def _estimated(
    watch: GradientError, training: Training, epoch: int, params: Mapping[str, np.ndarray]
) -> Found:
    """What an epoch's row says of the gradient's error; a large one is warned about once."""
    found = watch(params)
    warning = watch.warning(found)
    if warning and not any(inaccurate(row["gradient_error"]) for row in training.rows):
        training.warn(f"epoch {epoch}: {warning}")
    return {**found}


def _warn_of_rounding(training: Training, row: Found) -> None:
    """Warn once where the error estimate is rounding, or has become that."""
    preset = training.settings.preset
    warning = warning_of(preset, row["rounding"])
    if warning and not any(warning_of(preset, r["rounding"]) for r in training.rows):
        training.warn(f"epoch {row['epoch']}: {warning}")


def _prepared(settings: RunSettings) -> tuple[Gradient, Trainer]:
    """The task, its gradient and the weights."""
    preset = settings.preset
    made = preset.task(seed=settings.seed, dtype=preset.dtype, **settings.task_options)
    if preset.stochastic:
        from .stochastic_gradient import StochasticGradient

        loss_gradient = StochasticGradient(made, settings)
    else:
        loss_gradient = LossGradient(made, settings)
    module = importlib.import_module(f".{settings.backend}_trainer", __package__)
    return loss_gradient, getattr(module, f"{settings.backend.capitalize()}Trainer")(loss_gradient)


def _first_solve(training: Training, trainer: Trainer, task: Task) -> None:
    """Compile a solve."""
    with training.first("solve"):
        trainer.evaluate("train", _first(task))


def _epochs(
    loss_gradient: Gradient, trainer: Trainer, training: Training, done: int
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
            with training.first("training step"):
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
            **_evaluated(trainer, loss_gradient),
        }


def _warm_up(loss_gradient: Gradient, trainer: Trainer, indices: np.ndarray, epoch: int) -> None:
    """Compile a step, and leave no trace of it."""
    kept = {name: array.copy() for name, array in trainer.arrays().items()}
    drawn = loss_gradient.drawn(epoch, np.random.RandomState(0))
    trainer.step(indices, drawn, loss_gradient.coefficients(epoch), 0.0)
    trainer.wait()
    trainer.totals()
    trainer.restore(kept)


def _shares(loss_gradient: Gradient, trainer: Trainer) -> np.ndarray | None:
    """How the steps of the first batch lie over the span, where a local step is drawn by them."""
    penalty = loss_gradient.settings.regularizer
    if penalty is None or penalty.name != "local" or penalty.sampling != "accepted":
        return None
    assert isinstance(loss_gradient, LossGradient)
    accepted = trainer.evaluate("train", _first(loss_gradient.task)).accepted
    return shares_of_steps(loss_gradient.task.problem, penalty, accepted)


def _batches(task: Task, random: np.random.RandomState) -> Iterator[np.ndarray]:
    if not task.train:
        yield from (np.zeros(0, np.int64) for _ in range(task.steps))
        return
    order = random.permutation(count_of(task.train))
    for number in range(task.steps_per_epoch):
        yield order[number * task.batch : (number + 1) * task.batch]


def _first(task: Task) -> np.ndarray:
    return np.arange(task.batch)


def _untrained() -> Found:
    return {"epoch": 0, "status": "ok", "train_seconds": 0.0}


def _evaluated(trainer: Trainer, loss_gradient: Gradient) -> Found:
    """Losses, accuracies, evaluations and estimates on the first batch, and a prediction's time."""
    task = loss_gradient.task
    first = trainer.evaluate("train", _first(task))
    found: Found = {"nfe": first.rhs_evals, **first.estimates}
    found["rounding"] = None
    if isinstance(loss_gradient, LossGradient):
        found["rounding"] = rounding_of(loss_gradient, trainer.params(), first.accepted)
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
    count = count_of(getattr(task, samples))
    losses, right = 0.0, 0
    for start in range(0, count, task.batch):
        fresh = min(task.batch, count - start)
        found = trainer.evaluate(samples, (start + np.arange(task.batch)) % count)
        losses += fresh * found.loss
        right += 0 if found.correct is None else int(found.correct[:fresh].sum())
    return losses / count, None if task.correct is None else right / count
