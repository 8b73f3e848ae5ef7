"""``Task``: what is learnt, from which data, and how well it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from ..adjoints.arguments import positive_int
from ..problems.initial_value import InitialValue
from .start import LinearStart, Start

AnyProblem = TypeVar("AnyProblem", bound=InitialValue)


@dataclass(frozen=True)
class Task(Generic[AnyProblem]):
    """Something to learn.

    Attributes
    ----------
    name : str
    problem : Problem or SdeProblem
        The equations, the loss, and the first weights as ``params``, on one batch.
    train, test : mapping of str to ndarray
        The samples along the first axis: start values as ``"y0"`` where `start` does not make
        them, and by their names those of the problem's constants that belong to a sample, as
        labels do. Where `train` is empty, the problem itself is all there is to learn from, and
        the arrays of `test` take the places of its own as a whole.
    batch : int
        Samples a step; those that are left at the end of an epoch wait for the next one.
    steps : int
        Steps that count as an epoch where `train` is empty.
    correct : callable, optional
        ``correct(ys, p)``: for each sample of a batch whether it is told right, of shape
        ``(batch,)`` and boolean, in the array API. ``None`` where there is no right or wrong.
    start : Start or LinearStart, optional
        What makes the start values of the samples, with weights of its own; there are samples.
    """

    name: str
    problem: AnyProblem
    train: Mapping[str, np.ndarray] = field(default_factory=dict)
    test: Mapping[str, np.ndarray] = field(default_factory=dict)
    batch: int = 0
    steps: int = 10
    correct: Callable[[Any, Mapping[str, Any]], Any] | None = None
    start: Start | LinearStart | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the training samples."""
        return count_of(self.train) // self.batch if self.train else self.steps

    @property
    def params(self) -> dict[str, np.ndarray]:
        """All first weights: the problem's, and those of what makes the start values."""
        return {**self.problem.params, **({} if self.start is None else self.start.params)}


def check_batch(batch: int, samples: int) -> None:
    """Refuse a batch that is no whole number from 1 to the number of samples."""
    if positive_int("batch", batch) > samples:
        raise ValueError(f"batch={batch!r} must lie between 1 and the number of samples, {samples}")


def count_of(samples: Mapping[str, np.ndarray]) -> int:
    """How many there are."""
    return len(next(iter(samples.values())))
