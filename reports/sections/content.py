"""The contents of a report, in the order in which it is read, for page and Markdown alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..figures.shown_figure import ShownFigure, slug
from ..tables.shown_table import Table


@dataclass(frozen=True)
class ProblemSection:
    """What the report shows about one problem."""

    name: str
    about: str
    figures: tuple[ShownFigure, ...]
    table: Table

    @property
    def anchor(self) -> str:
        """What a link on the page leads to."""
        return slug(self.name)


@dataclass(frozen=True)
class Part:
    """A part of a section, under its own heading; what is empty is left out.

    `groups` are further sentences, each with a small heading of their own; `anchor` is what a
    link on the page leads to.
    """

    heading: str
    sentences: tuple[str, ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    figures: tuple[ShownFigure, ...] = ()
    table: Table | None = None
    note: str = ""
    anchor: str = ""


@dataclass
class Content:
    """Everything in a report."""

    title: str
    date: str
    measured: str = ""
    troubles: Sequence[str] = ()
    rtol: str = ""
    findings: Sequence[Any] = ()
    decisions: list[Part] = field(default_factory=list)
    map: list[Part] = field(default_factory=list)
    verdicts: Sequence[Any] = ()
    wrong: Table | None = None
    problems: list[ProblemSection] = field(default_factory=list)
    peers: list[Part] = field(default_factory=list)
    kinds: list[Part] = field(default_factory=list)
    stiff: list[Part] = field(default_factory=list)
    checkpoints: list[Part] = field(default_factory=list)
    training: list[Part] = field(default_factory=list)
    claims: list[Part] = field(default_factory=list)
    costs: list[Part] = field(default_factory=list)
    failures: Table | None = None
    skips: Table | None = None
    benchmarks: Table | None = None
    broken_benchmarks: Table | None = None
    compared: list[Part] = field(default_factory=list)
    runs: Sequence[dict[str, Any]] = ()

    @property
    def contents(self) -> tuple[tuple[str, str, bool], ...]:
        """Anchor and name of each section, and whether it is there; problems apart."""
        return (
            ("findings", "Findings", bool(self.findings)),
            ("decisions", "Which method when", bool(self.decisions)),
            ("map", "Map", bool(self.map)),
            ("summary", "By problem", bool(self.verdicts)),
            ("wrong", "Ok, and wrong", self.wrong is not None),
            ("peers", "Peers", bool(self.peers)),
            ("kinds", "Backends", bool(self.kinds)),
            ("stiff", "Stiff problems", bool(self.stiff)),
            ("checkpoints", "Checkpoints", bool(self.checkpoints)),
            ("training", "Training", bool(self.training)),
            ("claims", "Claims", bool(self.claims)),
            ("costs", "Costs", bool(self.costs)),
            ("failed", "Failed and skipped", self.failures is not None or self.skips is not None),
            ("compared", "Compared", bool(self.compared)),
            ("benchmarks", "asv", self.benchmarks is not None),
            ("foot", "Machine and versions", True),
        )
