"""Build a report: read, tabulate, draw, write."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from ..suite.measuring import formats
from ..suite.measuring.ladder import typical_rtol
from .page import render
from .sections.asv import add_benchmarks
from .sections.changes import benchmark_changes, compare_with, comparison_parts, read_with_base
from .sections.checkpoints import checkpoints_parts
from .sections.claims import claims_parts
from .sections.content import Content
from .sections.findings import findings
from .sections.overview import decision_parts, map_parts
from .sections.peers import kinds_parts, peers_parts
from .sections.problem import costs_parts, problem_section
from .sections.stiff import stiff_parts
from .sections.training import training_parts
from .sections.verdicts import verdicts
from .tables.peers import races
from .tables.read import Measurements
from .tables.shown_table import Column, as_table
from .tables.stiff import scaling_table
from .tables.summary import failures, skips, summary, wrong_answers

_WHERE = (Column("problem", "problem"), Column("method", "method"))

_FAILURE_COLUMNS = (
    *_WHERE,
    Column("status", "status"),
    Column("phase", "phase"),
    Column("at rtol", "at tolerance"),
    Column("message", "what it says"),
)


def build(
    paths: Sequence[Path],
    out: Path,
    *,
    title: str,
    say: Callable[[str], object],
    compare: str | None = None,
) -> Path:
    """See :func:`adjointbench.reports.build_report`."""
    found = read_with_base(paths, compare)
    if found.empty:
        reasons = "\n".join(f"  {trouble}" for trouble in found.troubles)
        raise ValueError(f"results: nothing could be read\n{reasons}")
    for trouble in found.troubles:
        say(trouble)
    out.mkdir(parents=True, exist_ok=True)
    (out / "figures").mkdir(exist_ok=True)
    content = Content(
        title=title,
        date=time.strftime("%d %B %Y, %H:%M"),
        troubles=found.troubles,
        runs=found.runs,
    )
    _write_tables(found, out)
    rows = _name_devices(found.rows)
    comparison = compare_with(rows, found.runs, compare)
    content.compared = comparison_parts(rows, comparison, found.runs, out)
    own = {run["code"] for run in found.runs if not run["base"]}
    rows, claims = (table[table["code"].isin(own)] for table in (rows, found.claims))
    if not rows.empty:
        _add_measurements(content, rows, out)
    newest = _newest(rows)
    content.findings = findings(newest, summary(newest) if len(newest) else newest, found.trainings)
    content.peers, content.kinds = peers_parts(newest), kinds_parts(newest)
    content.stiff = stiff_parts(newest, _newest(found.scaling, among=rows), out)
    content.checkpoints = checkpoints_parts(_newest(found.checkpoints, among=rows), out)
    content.training = training_parts(found.trainings, out)
    content.claims = claims_parts(_newest(claims), out)
    add_benchmarks(content, found.asv)
    content.compared += benchmark_changes(found.asv)
    (out / "report.md").write_text(render(content, "report.md"), encoding="utf-8")
    target = out / "index.html"
    target.write_text(render(content, "page.html"), encoding="utf-8")
    return target


def _write_tables(found: Measurements, out: Path) -> None:
    found.rows.to_csv(out / "measurements.csv", index=False)
    if not found.rows.empty:
        summary(found.rows).to_csv(out / "summary.csv", index=False)
    if not found.scaling.empty:
        scaling_table(found.scaling).to_csv(out / "scaling.csv", index=False)
    asv = found.asv.assign(parameters=found.asv["parameters"].map(", ".join))
    asv.to_csv(out / "benchmarks.csv", index=False)


def _add_measurements(content: Content, rows: pd.DataFrame, out: Path) -> None:
    """Sections about the newest commit on the machine that measured it, and comparisons."""
    shown = _newest(rows)
    lines = summary(shown)
    content.measured = f"{shown['machine'][0]}, commit {shown['code'][0] or 'unknown'}"
    content.rtol = formats.power(typical_rtol(shown["rtol"]))
    content.verdicts = verdicts(shown, lines)
    content.decisions = decision_parts(shown, lines, out)
    content.map = map_parts(shown, out)
    worst = Column("worst_error", "worst error", formats.error)
    at = Column("at rtol", "at tolerance")
    content.wrong = as_table(wrong_answers(shown), (*_WHERE, worst, at))
    content.failures = as_table(failures(shown), _FAILURE_COLUMNS)
    content.skips = as_table(skips(shown), (*_WHERE, Column("message", "why")))
    for problem in lines["problem"].unique():
        content.problems.append(problem_section(str(problem), shown, lines, out))
    content.costs = costs_parts(shown, lines, out)
    races(shown).to_csv(out / "peers.csv", index=False)


def _newest(rows: pd.DataFrame, among: pd.DataFrame | None = None) -> pd.DataFrame:
    """The rows of the commit that is the newest `among` others, on the machine that measured it."""
    others = rows if among is None or among.empty else among
    if rows.empty:
        return rows
    newest = others.loc[others["date"].idxmax()]
    here = rows["code"].eq(newest["code"]) & rows["machine"].eq(newest["machine"])
    return rows[here].reset_index(drop=True)


def _name_devices(rows: pd.DataFrame) -> pd.DataFrame:
    """A method on a device other than the CPU is shown as a method of its own."""
    if rows.empty:
        return rows
    elsewhere = rows["device"].ne("cpu")
    name = rows["method"].where(~elsewhere, rows["method"] + " on " + rows["device"].astype(str))
    return rows.assign(method=name)
