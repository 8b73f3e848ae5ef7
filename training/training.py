"""``Training``: what a training has come to, in memory, in its folder, and for who listens."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from ..adjoints.program import Work
from .loss_gradient import Evaluation
from .records import COLUMNS, Epoch
from .run_folder import Checkpoint, write_epoch
from .settings import RunSettings

#: What is known of an epoch so far: some of the columns of an :class:`Epoch`.
Found = dict[str, Any]


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
    folder : Path or None
        Where rows and checkpoint are.
    unsaved : int
        How many of the last rows the folder lacks, as they could not be written.
    compile_seconds : float
        Of the first solve and the first training step, which compile.
    """

    settings: RunSettings
    status: str = "ok"
    rows: list[Epoch] = field(default_factory=list)
    params: dict[str, np.ndarray] = field(default_factory=dict)
    folder: Path | None = None
    unsaved: int = 0
    compile_seconds: float = 0.0
    say: Callable[[Epoch], object] | None = field(default=None, repr=False)
    tell: Callable[[str], object] | None = field(default=None, repr=False)

    def told(self, sentence: str) -> None:
        """Pass on what is being waited for."""
        if self.tell is not None:
            self.tell(sentence)

    def go_on(self, found: Checkpoint) -> None:
        """Take over what was trained before."""
        self.status, self.rows = found.status, found.rows
        self.compile_seconds = found.rows[-1]["compile_seconds"] or 0.0

    @contextlib.contextmanager
    def first(self, what: str) -> Iterator[None]:
        """Around the first of many calls: it compiles, and its time is kept apart."""
        self.told(f"the first {what}, which compiles ...")
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        self.compile_seconds += seconds
        self.told(f"the first {what} took {seconds:.1f} s")

    def add(self, found: Found, trainer: Trainer) -> None:
        """Keep a row, in memory and in the folder; the checkpoint follows it."""
        found = {**found, "compile_seconds": self.compile_seconds}
        self.rows.append(cast(Epoch, {name: found.get(name) for name in COLUMNS}))
        if self.folder is not None:
            self._save(self.folder, trainer)
        if self.say is not None:
            self.say(self.rows[-1])

    def _save(self, folder: Path, trainer: Trainer) -> None:
        """Write the folder; what fails now may do after the next epoch."""
        try:
            write_epoch(folder, self.rows, trainer.arrays(), self.status)
        except OSError as error:
            self.unsaved += 1
            if self.unsaved == 1:
                self.warn(
                    f"out={str(folder)!r}: epoch {self.rows[-1]['epoch']} could not be written "
                    f"({error.strerror}); the training goes on, and tries again after each epoch"
                )
        else:
            if self.unsaved:
                self.told(f"out={str(folder)!r}: all epochs are written again")
            self.unsaved = 0

    def warn(self, sentence: str) -> None:
        """Pass on what goes wrong, also where nobody listens."""
        if self.tell is None:
            warnings.warn(sentence, RuntimeWarning, stacklevel=2)
        else:
            self.tell(sentence)
