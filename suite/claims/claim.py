"""``Claim``: a sentence that people say, how it is measured, and how its figures are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..measuring.row import ClaimRow
from ..measuring.timing import Silence

#: What a measuring function returns: numbers, text, and lists of lines for a table. Beside a
#: leading figure ``x`` may stand its spread, ``x_low`` and ``x_high``.
Figures = Mapping[str, Any]

HOLDS, IN_PART = "holds", "holds in part"
DOES_NOT_HOLD, NOT_MEASURED = "does not hold here", "not measured here"
WORDS = (HOLDS, IN_PART, DOES_NOT_HOLD, NOT_MEASURED)

#: The figure by which a measuring function says why there are no others.
REASON = "not_measured"


@dataclass(frozen=True)
class Verdict:
    """One of :data:`WORDS`, and the sentence that gives the reason."""

    word: str
    sentence: str


@dataclass(frozen=True)
class Limit:
    """A threshold, and what it means in words."""

    value: float
    words: str


Limits = Mapping[str, Limit]


@dataclass(frozen=True)
class Plot:
    """Lines to draw from the figures: columns of ``lines``, a curve for each value of `by`."""

    x: str
    y: str
    by: str
    xlabel: str
    ylabel: str


@dataclass(frozen=True)
class Claim:
    """One sentence of the field.

    Attributes
    ----------
    key : str
        Its number, or ``"R1"`` … for a red flag.
    sentence : str
        As it is said.
    source : str
        Where it is said.
    measured : str
        What is measured, in a sentence.
    measure : callable
        Called with ``(quick, silence)``; returns :data:`Figures`, never a verdict.
    leading, unit : str
        The figure of the scorecard, a number or text, and what it counts.
    limits : mapping of str to Limit
        The thresholds.
    decide : callable
        The verdict from figures and limits alone.
    published : str
        What others have measured.
    tracked : str
        The figure that asv follows, where the leading one is text.
    group : str
        Claims of one group are measured one after the other by the same process.
    plot : Plot, optional
    """

    key: str
    sentence: str
    source: str
    measured: str
    measure: Callable[[bool, Silence], Figures]
    leading: str
    unit: str
    limits: Limits
    decide: Callable[[Figures, Limits], Verdict]
    published: str = ""
    tracked: str = ""
    group: str = ""
    plot: Plot | None = None

    @property
    def red_flag(self) -> bool:
        """Whether it is one of the red flags rather than a claim."""
        return self.key.startswith("R")

    @property
    def name(self) -> str:
        """How its rows are called: ``"claim 7"``, ``"red flag 1"``."""
        return f"red flag {self.key[1:]}" if self.red_flag else f"claim {self.key}"

    def judge(self, figures: Figures) -> Verdict:
        """The verdict on these figures; *not measured here* where they give a reason instead.

        A figure may be missing because it was not finite, or not measured by older code.
        """
        if REASON in figures:
            return Verdict(NOT_MEASURED, str(figures[REASON]))
        known = {name: value for name, value in figures.items() if value is not None}
        try:
            return self.decide(known, self.limits)
        except KeyError as missing:
            name = str(missing.args[0]).replace("_", " ")
            return Verdict(NOT_MEASURED, f"There is no figure: {name}.")


def judge_row(claim: Claim, row: ClaimRow | None) -> Verdict:
    """The verdict on what was measured; without a row, or where it broke down, there is none."""
    if row is None:
        return Verdict(NOT_MEASURED, "It was not selected.")
    if row.status != "ok":
        return Verdict(NOT_MEASURED, f"{row.status}: {row.message or 'no message'}")
    return claim.judge(row.figures)
