"""The contents of a report, in the order in which it is read, for page and Markdown alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..figures.shown_figure import ShownFigure, slug
from ..tables.shown_table import Table


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes
    ----------
    heading : str
        What it is about.
    text : str
        A sentence or two.
    href : str
        Where on the page the evidence is.
    """

    heading: str
    text: str
    href: str


@dataclass(frozen=True)
class Verdict:
    """Which method was what on one problem, each as a sentence or part of one.

    Attributes
    ----------
    problem : str
    accurate, accurate_at : str
        The most accurate method, a dash where there is no reference or no gradient; its error.
    fast, fast_at : str
        The fastest method and those close to it, or a dash; the time, and at which equal error.
    stable : str
        The methods that were right on the whole ladder, or how many.
    wrong : tuple of str
        The methods that said ``ok`` and were wrong by more than 10 %.
    broken : tuple of str
        The methods that broke down somewhere on the ladder.
    unfinished : tuple of str
        The methods that were not done in their time somewhere on the ladder.
    skipped : tuple of str
        The methods that did not apply.
    """

    problem: str
    accurate: str
    accurate_at: str
    stable: str
    fast: str
    fast_at: str
    wrong: tuple[str, ...]
    broken: tuple[str, ...]
    unfinished: tuple[str, ...]
    skipped: tuple[str, ...]


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
    findings: Sequence[Finding] = ()
    decisions: list[Part] = field(default_factory=list)
    map: list[Part] = field(default_factory=list)
    verdicts: Sequence[Verdict] = ()
    wrong: Table | None = None
    error_bars: list[Part] = field(default_factory=list)
    problems: list[ProblemSection] = field(default_factory=list)
    peers: list[Part] = field(default_factory=list)
    kinds: list[Part] = field(default_factory=list)
    stiff: list[Part] = field(default_factory=list)
    checkpoints: list[Part] = field(default_factory=list)
    lanes: list[Part] = field(default_factory=list)
    sde: list[Part] = field(default_factory=list)
    device: list[Part] = field(default_factory=list)
    training: list[Part] = field(default_factory=list)
    claims: list[Part] = field(default_factory=list)
    costs: list[Part] = field(default_factory=list)
    failures: Table | None = None
    unfinished: Table | None = None
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
            ("error-bars", "Error bars", bool(self.error_bars)),
            ("peers", "Peers", bool(self.peers)),
            ("kinds", "Backends", bool(self.kinds)),
            ("stiff", "Stiff problems", bool(self.stiff)),
            ("checkpoints", "Checkpoints", bool(self.checkpoints)),
            ("lanes", "Ensembles", bool(self.lanes)),
            ("sde", "Stochastic", bool(self.sde)),
            ("device", "Device", bool(self.device)),
            ("training", "Training", bool(self.training)),
            ("claims", "Claims", bool(self.claims)),
            ("costs", "Costs", bool(self.costs)),
            ("failed", "Failed and skipped", any((self.failures, self.unfinished, self.skips))),
            ("compared", "Compared", bool(self.compared)),
            ("benchmarks", "asv", self.benchmarks is not None),
            ("foot", "Machine and versions", True),
        )
