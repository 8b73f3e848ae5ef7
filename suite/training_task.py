"""``TrainingTask``: one run of a grid of trainings, as a task."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..training.train import train
from .measuring.task import Task
from .measuring.timing import Silence


@dataclass(frozen=True)
class Heard:
    """What a training says as it goes: the row of an epoch, a sentence; or why it failed."""

    epoch: dict[str, Any] = field(default_factory=dict)
    sentence: str = ""
    failed: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainingTask(Task):
    """One run of a grid, into its `folder`, where it goes on if it was begun."""

    name = "training"
    gives = Heard

    task: str
    folder: str
    options: dict[str, Any]

    def rows(self, silence: Silence) -> Iterator[Heard]:
        """What the training says, in a measuring process."""
        said: queue.SimpleQueue[Heard | None] = queue.SimpleQueue()
        with ThreadPoolExecutor(1) as beside:
            training = beside.submit(
                train,
                self.task,
                out=self.folder,
                resume=True,
                say=lambda row: said.put(Heard(epoch=dict(row))),
                tell=lambda sentence: said.put(Heard(sentence=sentence)),
                **self.options,
            )
            training.add_done_callback(lambda _: said.put(None))
            yield from iter(said.get, None)
        error = training.exception()
        if error is not None:
            yield Heard(failed=f"{type(error).__name__}: {error}")

    def unmeasured(self, measured: Sequence[Heard], status: str, message: str) -> Iterator[Heard]:
        """That it failed."""
        yield Heard(failed=message)
