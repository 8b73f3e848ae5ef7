"""Who is the fastest at equal gradient error, and who as fast: one threshold, one ranker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .ladder import seconds_at_error
from .row import Row

#: A factor below which two times are called equal: machines are not more quiet than this.
NOISE = 1.2


@dataclass(frozen=True)
class Ranking:
    """Times of whatever was raced, fastest first.

    Attributes
    ----------
    seconds : dict of str to float
        By name, fastest first; or any other figure of which less is better.
    """

    seconds: dict[str, float]

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def fastest(self) -> str:
        """The name of the fastest; ``ValueError`` where nobody got there."""
        if not self.seconds:
            raise ValueError("nobody got there: a ranking of none has no fastest")
        return next(iter(self.seconds))

    @property
    def best(self) -> float:
        """The seconds of the fastest."""
        return self.seconds[self.fastest]

    @property
    def tied(self) -> tuple[str, ...]:
        """The fastest, and all that are as fast; none where nobody got there."""
        return (self.fastest, *self.as_fast_as(self.fastest)) if self.seconds else ()

    def as_fast_as(self, name: str) -> tuple[str, ...]:
        """All others that are as fast as `name` within :data:`NOISE`, or faster."""
        limit = NOISE * self.seconds[name]
        return tuple(other for other, s in self.seconds.items() if s <= limit and other != name)

    def among(self, names: Iterable[str]) -> Ranking:
        """The same race without the others."""
        kept = set(names)
        return Ranking({name: s for name, s in self.seconds.items() if name in kept})


def rank(times: Mapping[str, float | None]) -> Ranking:
    """The ranking of `times`; who has none (``None``) did not get there."""
    there = [(name, seconds) for name, seconds in times.items() if seconds is not None]
    return Ranking(dict(sorted(there, key=lambda pair: pair[1])))


def rank_at_error(ladders: Mapping[str, Sequence[Row]], error: float) -> Ranking:
    """The ranking of methods by the time that each takes for a gradient error.

    Parameters
    ----------
    ladders : mapping of str to sequence of rows
        The ladder of each method, of one problem and device.
    error : float
        The gradient error that all have to reach, see
        :func:`~adjointbench.suite.measuring.ladder.seconds_at_error`.
    """
    return rank({name: seconds_at_error(ladder, error) for name, ladder in ladders.items()})


def outcome(ratio: float) -> Literal["won", "lost", "equal"]:
    """How a race of two ended, by the other's time over ours."""
    return "won" if ratio > NOISE else "lost" if ratio < 1 / NOISE else "equal"
