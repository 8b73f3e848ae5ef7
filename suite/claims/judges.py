"""Ways to come from figures and limits to a verdict; pure functions, one pattern each."""

from __future__ import annotations

import operator
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..measuring.equal_times import NOISE
from ..measuring.formats import span
from .claim import DOES_NOT_HOLD, HOLDS, IN_PART, Figures, Limits, Verdict

Decide = Callable[[Figures, Limits], Verdict]


def sentence(says: str, figures: Figures) -> str:
    """The sentence `says`, with figures in braces.

    ``{low..high:.0%}`` is the range of two figures, or one number where they are written alike. A
    ``KeyError`` names a figure that is missing.
    """
    return _Sentence().vformat(says, (), figures)


class _Sentence(string.Formatter):
    """Formats ranges of two figures, beside single ones."""

    def get_field(
        self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Any, str]:
        """A figure, or two of them."""
        names = field_name.split("..")
        if len(names) == 1:
            return kwargs[field_name], field_name
        return tuple(kwargs[name] for name in names), names[0]

    def format_field(self, value: Any, format_spec: str) -> str:
        """What the specification says of one figure or of both."""
        if isinstance(value, tuple):
            return span(value, lambda one: format(one, format_spec))
        return format(value, format_spec)


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
        return Verdict(word, sentence(says, figures))

    return decide


def about(name: str, says: str) -> Decide:
    """Holds where the figure is ``limits["said"]`` within a factor of 1.2, below it and above.

    In part from ``limits["part"]`` on, so that the sentence is right in the direction and not in
    the number; the verdict says on which side it is.
    """

    def decide(figures: Figures, limits: Limits) -> Verdict:
        figure, said = figures[name], limits["said"].value
        told = sentence(says, figures)
        if said / NOISE <= figure <= said * NOISE:
            return Verdict(HOLDS, told)
        side = "more" if figure > said else "less"
        word = IN_PART if figure >= limits["part"].value else DOES_NOT_HOLD
        return Verdict(word, f"{told} That is {side} than is said.")

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
        return Verdict(word, f"{sentence(says, figures)} ({'; '.join(parts)}.)")

    return decide
