"""Ways to come from figures and limits to a verdict; pure functions, one pattern each."""

from __future__ import annotations

import operator
from collections.abc import Callable

from .claim import DOES_NOT_HOLD, HOLDS, IN_PART, Figures, Limits, Verdict

Decide = Callable[[Figures, Limits], Verdict]


def at_most(name: str, says: str) -> Decide:
    """Holds where the figure is at most ``limits["holds"]``, in part up to ``limits["part"]``.

    Parameters
    ----------
    name : str
        The figure.
    says : str
        The sentence, with figures in braces.
    """
    return _graded(name, says, operator.le)


def at_least(name: str, says: str) -> Decide:
    """Holds where the figure is at least ``limits["holds"]``, in part from ``limits["part"]``."""
    return _graded(name, says, operator.ge)


def _graded(name: str, says: str, reaches: Callable[[float, float], bool]) -> Decide:
    def decide(figures: Figures, limits: Limits) -> Verdict:
        holds, in_part = (reaches(figures[name], limits[x].value) for x in ("holds", "part"))
        word = HOLDS if holds else IN_PART if in_part else DOES_NOT_HOLD
        return Verdict(word, says.format(**figures))

    return decide


def all_of(says: str, **conditions: Callable[[Figures, Limits], bool]) -> Decide:
    """Holds where every condition is met, in part where some are.

    Parameters
    ----------
    says : str
        The sentence, with figures in braces.
    **conditions : callable
        ``(figures, limits) -> bool``; the name says in words what is met or not, with ``_`` for
        spaces.
    """

    def decide(figures: Figures, limits: Limits) -> Verdict:
        met = {name: bool(test(figures, limits)) for name, test in conditions.items()}
        word = HOLDS if all(met.values()) else IN_PART if any(met.values()) else DOES_NOT_HOLD
        parts = [
            f"{name.replace('_', ' ')}: {'yes' if is_met else 'no'}" for name, is_met in met.items()
        ]
        return Verdict(word, f"{says.format(**figures)} ({'; '.join(parts)}.)")

    return decide
