"""``Trouble``: how methods broke down, were wrong, too slow, or not tried at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..measuring.ladder import is_wrong
from ..measuring.row import Row


@dataclass(frozen=True)
class Trouble:
    """A method that breaks down, or says ``ok`` and is wrong, and at which tolerances.

    `status` and `phase` say how it broke down, ``"ok"`` that it did not; `error` is the worst of
    those that are wrong, `message` what the method says.
    """

    method: str
    status: str
    phase: str
    message: str
    rtols: tuple[float, ...]
    error: float | None = None


def broken(ladder: Sequence[Row]) -> list[Trouble]:
    """How a method broke down, each way once."""
    return _ended(ladder, lambda row: row.status not in ("ok", "skipped", "timeout"))


def slow(ladder: Sequence[Row]) -> list[Trouble]:
    """Where a method was not done in its share of the time."""
    return _ended(ladder, lambda row: row.status == "timeout")


def _ended(ladder: Sequence[Row], so: Callable[[Row], bool]) -> list[Trouble]:
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in filter(so, ladder):
        found.setdefault((row.status, row.phase or "", row.message), []).append(row.rtol)
    method = ladder[0].method
    return [Trouble(method, *how, rtols=tuple(rtols)) for how, rtols in found.items()]


def wrong(ladder: Sequence[Row]) -> list[Trouble]:
    """A method that says ``ok`` with an error of more than 10 %."""
    errors = {row.rtol: error_of(row) for row in filter(is_wrong, ladder)}
    if not errors:
        return []
    return [Trouble(ladder[0].method, "ok", "", "", tuple(errors), max(errors.values()))]


def skipped(ladders: Mapping[str, Sequence[Row]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Sentences why methods were not tried, each with the methods that it is said of."""
    found: dict[str, list[str]] = {}
    for method, ladder in ladders.items():
        sentence = next((row.message for row in ladder if row.status == "skipped"), None)
        if sentence is not None:
            found.setdefault(sentence.replace(f"method={method!r}", "it"), []).append(method)
    return tuple((sentence, tuple(methods)) for sentence, methods in found.items())


def error_of(row: Row) -> float:
    """The error of a row; infinite where there is none."""
    return math.inf if row.error is None else row.error
