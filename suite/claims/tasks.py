"""``ClaimTask``: one claim, or several that share their measurement, as a task."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..measuring.measure import processor_time
from ..measuring.row import ClaimRow, Row, message_of
from ..measuring.studies import scaling
from ..measuring.task import Task
from ..measuring.timing import Silence
from .claim import Claim, Figures
from .cost import figures_of_scaling
from .table import CLAIMS, claim_of

#: The claim whose measurement is the scaling study.
OF_SCALING = "3"

#: Seconds allowed for one claim.
TIMEOUT_S, QUICK_TIMEOUT_S = 1800.0, 240.0


@dataclass(frozen=True, kw_only=True)
class ClaimTask(Task):
    """One claim, or several that share their measurement, by one process."""

    name = "claims"
    gives = ClaimRow

    keys: tuple[str, ...]
    quick: bool

    def rows(self, silence: Silence) -> Iterator[ClaimRow]:
        """A row for each claim, in a measuring process."""
        for key in self.keys:
            yield measure_claim(claim_of(key), self.quick, silence)

    def unmeasured(
        self, measured: Sequence[ClaimRow], status: str, message: str
    ) -> Iterator[ClaimRow]:
        """The rows of the claims that were not reached."""
        done = {row.number for row in measured}
        for key in self.keys:
            if key not in done:
                yield ClaimRow(
                    problem=claim_of(key).name,
                    number=key,
                    quick=self.quick,
                    status=status,
                    message=message,
                    exception=status == "failed",
                    allowed_s=self.allowed_s if status == "timeout" else None,
                )


def claim_tasks(keys: Sequence[str], quick: bool) -> Iterator[ClaimTask]:
    """A task for each claim, and one for each group of claims; the longest, the groups, first."""
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(claim_of(key).group or key, []).append(key)
    for members in sorted(groups.values(), key=len, reverse=True):
        seconds = QUICK_TIMEOUT_S if quick else TIMEOUT_S
        yield ClaimTask(
            problem=", ".join([claim_of(members[0]).name, *members[1:]]),
            study=ClaimRow.study,
            timeout_s=seconds * len(members),
            keys=tuple(members),
            quick=quick,
        )


def measure_claim(claim: Claim, quick: bool, silence: Silence) -> ClaimRow:
    """The row of one claim; an exception is a row as well, of status ``"failed"``."""
    start = processor_time()
    row = ClaimRow(problem=claim.name, number=claim.key, quick=quick, status="ok")
    try:
        row = replace(row, figures=plain(claim.measure(quick, silence)))
    except ModuleNotFoundError as error:
        row = replace(row, status="skipped", message=f"{error.name} is not installed")
    except Exception as error:
        row = replace(row, status="failed", message=message_of(error), exception=True)
    return replace(row, processor_s=processor_time() - start)


def plain(figures: Figures) -> dict[str, Any]:
    """Figures as strict JSON holds them: no arrays, and ``None`` where a number is not finite."""
    return {name: _plain(value) for name, value in figures.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def made_of_scaling(rows: Sequence[Row], claims: Sequence[ClaimRow]) -> list[ClaimRow]:
    """The row of the claim on sizes, from a run's rows of the scaling study.

    None where no claims were measured, that one was by itself, or there is no such study.
    """
    study = [row for row in rows if row.study == scaling.STUDY]
    if not claims or not study or any(row.number == OF_SCALING for row in claims):
        return []
    claim, figures = claim_of(OF_SCALING), plain(figures_of_scaling(study))
    about = ClaimRow(problem=claim.name, number=claim.key, quick=claims[0].quick, status="ok")
    return [replace(about, figures=figures)]


def chosen_claims(text: str | None = None) -> tuple[str, ...]:
    """The keys that ``ADJOINTBENCH_CLAIMS``, or `text`, asks for.

    By default all, but none where ``ADJOINTBENCH_PROBLEMS`` asks for something else; ``0`` is none.

    Raises
    ------
    ValueError
        Where a key is unknown.
    """
    said = "number" if text is not None else "ADJOINTBENCH_CLAIMS"
    text = os.environ.get("ADJOINTBENCH_CLAIMS", "") if text is None else text
    every = tuple(claim.key for claim in CLAIMS)
    if not text and said != "number":
        return () if os.environ.get("ADJOINTBENCH_PROBLEMS") else every
    wanted = {part.strip().upper() for part in text.split(",")} - {"0", ""}
    unknown = wanted - set(every)
    if unknown or not text:
        raise ValueError(
            f"{said}={text!r}: {', '.join(sorted(unknown)) or 'that'} is no claim; pass "
            f"numbers between commas of {', '.join(every)}, or 0 for none"
        )
    return tuple(key for key in every if key in wanted)
