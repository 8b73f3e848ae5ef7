"""Build a report, one way: rows, then tables, then figures and sections, then the page."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from ..problems.files import checked_folder
from ..suite.measuring import formats
from ..suite.measuring.ladder import typical_rtol
from ..training.ratios import summary_of
from .page import render
from .sections import changes
from .sections.asv import add_benchmarks, benchmark_changes
from .sections.checkpoints import checkpoints_parts
from .sections.claims import claims_parts
from .sections.content import Content
from .sections.decision import decision_parts
from .sections.device import device_parts
from .sections.error_bars import error_bars_parts
from .sections.findings import findings
from .sections.kinds import kinds_parts
from .sections.lanes import lanes_parts
from .sections.machines import machines_parts
from .sections.map import map_parts
from .sections.peers import peers_parts
from .sections.problem import costs_parts, problem_section
from .sections.scaling import scaling_table
from .sections.sde import sde_parts
from .sections.stiff import stiff_parts
from .sections.training import training_parts
from .sections.verdicts import verdicts
from .tables.changes import Comparison, compare_with
from .tables.codes import in_order
from .tables.ladders import Ladders, name_devices, newest
from .tables.races import races
from .tables.read import Measurements, read_measurements
from .tables.shown_table import WHERE, Column, as_table, by_family
from .tables.summary import failures, skips, summary, unfinished, wrong_answers

_FAILURE_COLUMNS = (
    *WHERE,
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
    found = _read(paths, compare)
    if found.empty:
        reasons = "\n".join(f"  {trouble}" for trouble in found.troubles)
        raise ValueError(f"results: nothing could be read\n{reasons}")
    for trouble in found.troubles:
        say(trouble)
    checked_folder("out", out)
    checked_folder("out", out / "figures")
    content = Content(
        title=title,
        date=time.strftime("%d %B %Y, %H:%M"),
        troubles=found.troubles,
        runs=found.runs,
    )
    _add_sections(content, found, compare, out)
    (out / "report.md").write_text(render(content, "report.md"), encoding="utf-8")
    target = out / "index.html"
    target.write_text(render(content, "page.html"), encoding="utf-8")
    return target


def compared(paths: Sequence[Path], base: str) -> tuple[Comparison, tuple[str, ...]]:
    """See :func:`adjointbench.reports.compare_results`."""
    found = _read(paths, base)
    comparison = compare_with(found.rows, found.runs, base)
    assert comparison is not None
    return comparison, tuple(changes.findings(comparison, found.runs))


def _read(paths: Sequence[Path], base: str | None) -> Measurements:
    """Results, and those of `base` too where it is a file or a folder."""
    found = Path(base) if base is not None else None
    return read_measurements(paths, found if found is not None and found.exists() else None)


def _add_sections(content: Content, found: Measurements, compare: str | None, out: Path) -> None:
    """Everything that is shown: each table is made once, and handed to those that show it."""
    rows, lines = name_devices(found.rows), _summary(found.rows, out)
    sizes = found.scaling if found.scaling.empty else scaling_table(found.scaling)
    _write_tables(found, sizes, out)
    comparison = compare_with(rows, found.runs, compare)
    code = in_order(rows)[-1] if len(rows) else ""
    newest_lines = lines[lines["code"].eq(code)] if len(rows) else lines
    content.compared = changes.comparison_parts(comparison, newest_lines, found.runs, out)
    own = {run["code"] for run in found.runs if not run["base"]}
    rows, claims = (table[table["code"].isin(own)] for table in (rows, found.claims))
    ladders = None if rows.empty else _newest_ladders(rows, lines)
    ratios = found.trainings if found.trainings.empty else summary_of(found.trainings)
    if ladders is not None:
        _add_ladders(content, ladders, out)
    raced = None if ladders is None else races(ladders)
    content.peers = [] if raced is None else peers_parts(raced, out)
    content.findings = findings(ladders, raced, ratios)
    content.stiff = stiff_parts(ladders, newest(sizes, among=rows), out)
    content.checkpoints = checkpoints_parts(newest(found.checkpoints, among=rows), out)
    content.lanes = lanes_parts(newest(found.lanes, among=rows), out)
    content.sde = sde_parts(newest(found.sde, among=rows), out)
    content.device = device_parts(newest(found.device), found.runs)
    content.training = training_parts(found.trainings, ratios, out)
    content.claims = claims_parts(newest(claims, by="number"), out)
    add_benchmarks(content, found.asv)
    shown = None if ladders is None else ladders.rows
    content.compared += machines_parts(_of_newest_code(rows), _of_newest_code(claims), shown)
    content.compared += benchmark_changes(found.asv)


def _of_newest_code(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the newest code, of all machines."""
    return table if table.empty else table[table["code"].eq(in_order(table)[-1])]


def _summary(rows: pd.DataFrame, out: Path) -> pd.DataFrame:
    """The summary of all that was measured, written, and then with devices in methods' names."""
    if rows.empty:
        return rows
    lines = summary(rows)
    lines.to_csv(out / "summary.csv", index=False)
    return by_family(name_devices(lines), "problem")


def _write_tables(found: Measurements, sizes: pd.DataFrame, out: Path) -> None:
    """What was measured, as it is."""
    found.rows.to_csv(out / "measurements.csv", index=False)
    if not sizes.empty:
        sizes.to_csv(out / "scaling.csv", index=False)
    asv = found.asv.assign(parameters=found.asv["parameters"].map(", ".join))
    asv.to_csv(out / "benchmarks.csv", index=False)


def _newest_ladders(rows: pd.DataFrame, lines: pd.DataFrame) -> Ladders:
    """The ladders of the newest commit, with their summary."""
    shown = newest(rows, by="problem")
    first = shown.iloc[0]
    if shown["machine"].nunique() > 1:
        return Ladders(shown)
    theirs = lines["code"].eq(first["code"]) & lines["machine"].eq(first["machine"])
    return Ladders(shown, lines[theirs].reset_index(drop=True))


def _add_ladders(content: Content, ladders: Ladders, out: Path) -> None:
    """Sections about the newest commit."""
    rows = ladders.rows
    machines = formats.listed(sorted(set(rows["machine"])))
    content.measured = f"{machines}, commit {rows['code'][0] or 'unknown'}"
    content.rtol = formats.power(typical_rtol(rows["rtol"]))
    content.verdicts = verdicts(ladders)
    content.decisions = decision_parts(ladders, out)
    content.map = map_parts(ladders, out)
    worst = Column("worst_error", "worst error", formats.error)
    at, bar = Column("at rtol", "at tolerance"), Column("error_bar", "with an error bar")
    content.wrong = as_table(wrong_answers(rows), (*WHERE, worst, at, bar))
    content.error_bars = error_bars_parts(ladders, out)
    content.failures = as_table(failures(rows), _FAILURE_COLUMNS)
    content.unfinished = as_table(unfinished(rows), (*WHERE, at, Column("message", "when")))
    content.skips = as_table(skips(rows), (*WHERE, Column("message", "why")))
    content.problems = [problem_section(name, ladders, out) for name in ladders.by_problem]
    content.costs = costs_parts(ladders, out)
    content.kinds = kinds_parts(ladders)
