"""Ways to come from figures and limits to a verdict; pure functions, one pattern each."""

from __future__ import annotations

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

    def decide(figures: Figures, limits: Limits) -> Verdict:
        value = figures[name]
        word = HOLDS if value <= limits["holds"].value else DOES_NOT_HOLD
        if word != HOLDS and value <= limits["part"].value:
            word = IN_PART
        return Verdict(word, says.format(**figures))

    return decide


def at_least(name: str, says: str) -> Decide:
    """Holds where the figure is at least ``limits["holds"]``, in part from ``limits["part"]``."""

    def decide(figures: Figures, limits: Limits) -> Verdict:
        value = figures[name]
        word = HOLDS if value >= limits["holds"].value else DOES_NOT_HOLD
        if word != HOLDS and value >= limits["part"].value:
            word = IN_PART
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
