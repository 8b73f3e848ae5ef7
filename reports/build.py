"""Build a report: read, tabulate, draw, write."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from . import formats, page
from .claims.section import claims_parts
from .compare_section import benchmark_changes, compare_with, comparison_parts, read_with_base
from .figures import dots, stability, work_precision
from .ladder import typical_rtol
from .page import Column, Content, ProblemSection, ShownFigure, save_figure
from .peers import races
from .peers_section import kinds_parts, peers_parts
from .read import Measurements
from .stiff import scaling_table
from .stiff_section import stiff_parts
from .tables import COUNTS, failures, skips, summary, wrong_answers
from .training_section import training_parts
from .verdicts import verdicts

_METHOD_COLUMNS = (
    Column("method", "method"),
    Column("share", "right", formats.percent),
    Column("order", "order", formats.slope),
    Column("best_error", "best error", formats.error),
    Column("error", "error", formats.error),
    Column("dy0_error", "error of dL/dy0", formats.error),
    Column("amplification", "ampli­fication", formats.amount),
    Column("seconds", "time", formats.seconds),
    Column("ratio", "gradient / primal", formats.amount),
    Column("first_call_s", "first call", formats.seconds),
    Column("saved_bytes", "kept", formats.size),
    Column("statuses", "ended"),
)

_CELLS = "Orange says ok and is wrong, hatched broke down, a dash was skipped."

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
    rows = rows[rows["code"].isin([run["code"] for run in found.runs if not run["base"]])]
    if not rows.empty:
        _add_measurements(content, rows, out)
    newest = _newest(rows)
    content.peers, content.kinds = peers_parts(newest), kinds_parts(newest)
    content.stiff = stiff_parts(newest, _newest(found.scaling, among=rows), out)
    content.training = training_parts(found.trainings, out)
    content.claims = claims_parts(_newest(found.claims), out)
    _add_benchmarks(content, found.asv)
    content.compared += benchmark_changes(found.asv)
    (out / "report.md").write_text(page.render(content, "report.md"), encoding="utf-8")
    target = out / "index.html"
    target.write_text(page.render(content, "page.html"), encoding="utf-8")
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
    content.rtol = formats.power(typical_rtol(shown.to_dict("records")))
    content.verdicts = verdicts(shown, lines)
    worst = Column("worst_error", "worst error", formats.error)
    at = Column("at rtol", "at tolerance")
    content.wrong = page.table(wrong_answers(shown), (*_WHERE, worst, at))
    content.failures = page.table(failures(shown), _FAILURE_COLUMNS)
    content.skips = page.table(skips(shown), (*_WHERE, Column("message", "why")))
    content.counts = _counts(lines)
    for problem in lines["problem"].unique():
        content.problems.append(_problem(str(problem), shown, lines, out))
    content.costs = _costs(lines, out)
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


def _problem(name: str, rows: pd.DataFrame, lines: pd.DataFrame, out: Path) -> ProblemSection:
    mine, table = rows[rows["problem"].eq(name)], lines[lines["problem"].eq(name)]
    caption = f"{name}: log10 of the gradient error at each tolerance. {_CELLS}"
    figures = [save_figure(stability(mine), f"{name}-stability", out, caption)]
    if mine["error"].notna().any():
        caption = f"{name}: time of one gradient against its error. Down and left is better."
        figures.insert(0, save_figure(work_precision(mine), f"{name}-work-precision", out, caption))
    shown = table[table["skipped"].eq("")]
    return ProblemSection(
        name=name,
        about=_about(mine),
        figures=tuple(figures),
        table=page.table(shown, _METHOD_COLUMNS) or page.Table(_METHOD_COLUMNS, ()),
    )


def _about(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    words = [
        f"{first[column]:.0f} {heading}{'' if first[column] == 1 else 's'}"
        for column, heading in (("n_states", "state"), ("n_params", "parameter"))
        if column in rows and pd.notna(first[column])
    ]
    if "dtype" in rows and pd.notna(first["dtype"]):
        words.append(str(first["dtype"]))
    if "stiff" in rows and first["stiff"] is True:
        words.append("stiff")
    if "agreement" in rows and rows["agreement"].notna().any():
        words.append(f"certified to {formats.error(rows['agreement'].min())}")
    return ", ".join(words)


def _counts(lines: pd.DataFrame) -> page.Table | None:
    counted = lines[lines[list(COUNTS)].notna().any(axis=1)]
    columns = [Column(name, name.replace("_", " ")) for name in COUNTS if counted[name].any()]
    return page.table(counted, (*_WHERE, *columns))


def _costs(lines: pd.DataFrame, out: Path) -> list[ShownFigure]:
    wanted = (
        ("ratio", "gradient-over-primal", "time of one gradient over time of one primal solve"),
        ("saved_bytes", "bytes-kept", "bytes kept from the forward for the reverse pass"),
    )
    return [
        save_figure(dots(lines, column, label), name, out, label)
        for column, name, label in wanted
        if lines[column].gt(0).any()
    ]


def _add_benchmarks(content: Content, asv: pd.DataFrame) -> None:
    """The figures of asv itself: how many, and what broke."""
    if asv.empty:
        return
    counts = asv.groupby("benchmark")["status"].value_counts().unstack(fill_value=0)
    counts = counts.reindex(columns=pd.Index(["ok", "skipped", "failed"]), fill_value=0)
    whole = [Column(name, name, formats.amount) for name in counts.columns]
    content.benchmarks = page.table(
        counts.reset_index(), (Column("benchmark", "benchmark"), *whole)
    )
    failed = asv[asv["status"].eq("failed")].assign(
        parameters=lambda t: t["parameters"].map(", ".join)
    )
    columns = [Column(name, name) for name in ("benchmark", "parameters", "machine", "commit")]
    content.broken_benchmarks = page.table(failed, columns)
