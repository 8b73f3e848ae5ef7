"""The section of a report about claims: the scorecard, then what was measured for each."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ...suite.claims.claim import NOT_MEASURED, WORDS, Claim, judge_row
from ...suite.claims.table import CLAIMS, claim_of
from ...suite.measuring import formats
from ...suite.measuring.row import ClaimRow, from_record
from ..figures.claims import claim_figure
from ..figures.shown_figure import save_figure
from ..tables.shown_table import Column, Link, as_table
from .content import Part

ANCHOR = "claims"

_SCORECARD = (
    Column("number", "no."),
    Column("claim", "what is said"),
    Column("verdict", "verdict"),
    Column("figure", "figure [spread]"),
    Column("why", "why"),
    Column("measured", "what was measured"),
)


def scorecard(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a claim, measured or not: the sentence, figure with spread, verdict and reason.

    Parameters
    ----------
    rows : DataFrame
        Rows of claims of one run; may be empty.
    """
    found = {row["number"]: row for row in rows.to_dict("records")}
    lines = []
    for claim in CLAIMS:
        row = found.get(claim.key)
        verdict = judge_row(claim, None if row is None else from_record(ClaimRow, row))
        about = row or {}
        lines.append(
            {
                "number": claim.key,
                "claim": claim.sentence,
                "verdict": verdict.word,
                "figure": figure_text(claim, about.get("figures") or {}),
                "why": verdict.sentence,
                "measured": claim.measured,
                "source": claim.source,
                "published": claim.published,
                "thresholds": _thresholds(claim),
                "quick": about.get("quick"),
                "machine": about.get("machine"),
                "commit": about.get("commit"),
                "versions": about.get("versions"),
            }
        )
    return pd.DataFrame(lines)


def figure_text(claim: Claim, figures: Mapping[str, Any]) -> str:
    """The leading figure with its spread and unit; empty where there is none."""
    value = figures.get(claim.leading)
    if value is None or isinstance(value, str):
        return value or ""
    low, high = (figures.get(f"{claim.leading}_{end}") for end in ("low", "high"))
    spread = "" if low is None or high is None else f" [{_number(low)}, {_number(high)}]"
    return f"{_number(value)}{spread} {claim.unit}"


def claims_parts(claims: pd.DataFrame, out: Path) -> list[Part]:
    """The scorecard, and a part for each claim that was measured; none where nothing was.

    Parameters
    ----------
    claims : DataFrame
        Of :attr:`~adjointbench.reports.tables.read.Measurements.claims`, of one commit and machine.
    out : Path
        The folder of the report, which gets ``claims.csv`` and figures.
    """
    if claims.empty:
        return []
    card = scorecard(claims)
    card.to_csv(out / "claims.csv", index=False)
    details = [_detail(claim_of(row["number"]), row, out) for row in claims.to_dict("records")]
    details.sort(key=lambda part: [claim.name for claim in CLAIMS].index(_name(part)))
    return [_scorecard_part(card), *details]


def _name(part: Part) -> str:
    return part.anchor.replace("-", " ")


def _anchor(claim: Claim) -> str:
    return claim.name.replace(" ", "-")


def _scorecard_part(card: pd.DataFrame) -> Part:
    counts = "; ".join(f"{word}: {card['verdict'].eq(word).sum()}" for word in WORDS)
    # The first row that was measured tells with what.
    measured = card[card["machine"].notna()]
    first = measured.iloc[0]
    where = f"{formats.listed(sorted(set(measured['machine'])))}, commit {first['commit']}"
    sizes = "quick sizes" if first["quick"] else "all sizes"
    numbers = [
        Link(key, f"#{_anchor(claim_of(key))}") if verdict != NOT_MEASURED else key
        for key, verdict in zip(card["number"], card["verdict"], strict=True)
    ]
    return Part(
        heading="Is it true what they say?",
        sentences=(
            f"{counts[0].upper()}{counts[1:]}.",
            f"Measured on {where}, {sizes}: {first['versions']}.",
        ),
        table=as_table(card.assign(number=numbers), _SCORECARD, stacks=True),
        note=(
            "Every verdict is computed from the figures and the thresholds that stand with the "
            "claim below; R1 to R8 are red flags that a serious comparison must show, and there "
            "'holds' means that it shows here too. All of it: claims.csv."
        ),
        anchor=ANCHOR,
    )


def _detail(claim: Claim, row: Mapping[str, Any], out: Path) -> Part:
    figures = row.get("figures") or {}
    verdict = judge_row(claim, from_record(ClaimRow, row))
    said = [
        f"{verdict.word[0].upper()}{verdict.word[1:]}. {verdict.sentence}",
        f"Source: {claim.source}.",
        f"Measured: {claim.measured}.",
    ]
    if figures.get(claim.leading) is not None:
        said.append(f"Figure: {figure_text(claim, figures)}.")
    if claim.limits:
        said.append(f"Thresholds: {_thresholds(claim)}.")
    if claim.published:
        said.append(f"Published: {claim.published}.")
    lines = pd.DataFrame(figures.get("lines") or [])
    shown = as_table(lines, [_column(str(name), lines[name]) for name in lines.columns])
    message = [line for line in str(figures.get("message") or "").splitlines() if line.strip()]
    drawn = ()
    if claim.plot is not None and not lines.empty:
        drawn = (_saved(claim, lines, out),)
    return Part(
        heading=f"{claim.key}. {claim.sentence}",
        sentences=tuple(said),
        groups=(("What it says", tuple(message)),) if message else (),
        figures=drawn,
        table=shown,
        anchor=_anchor(claim),
    )


def _saved(claim: Claim, lines: pd.DataFrame, out: Path) -> Any:
    assert claim.plot is not None
    return save_figure(
        claim_figure(claim.plot, lines),
        _anchor(claim),
        out,
        f"{claim.sentence} {claim.plot.ylabel[0].upper()}{claim.plot.ylabel[1:]} "
        f"against {claim.plot.xlabel}.",
        data=lines,
        command=f"adjointbench claims --number {claim.key} --out rows.jsonl\n"
        "adjointbench report rows.jsonl",
    )


def _thresholds(claim: Claim) -> str:
    return "; ".join(f"{limit.words} ({limit.value:g})" for limit in claim.limits.values())


def _column(name: str, values: pd.Series) -> Column:
    """A column of numbers of unknown size, or of text."""
    numeric = pd.api.types.is_numeric_dtype(values)
    return Column(name, name.replace("_", " "), _number if numeric else formats.plain)


def _number(value: float) -> str:
    """To four digits, six of large numbers, where that is readable; else with an exponent."""
    if not math.isfinite(value):
        return "–"
    if abs(value) < 1e6 and value == int(value):
        return str(int(value))
    if not 1e-3 <= abs(value) < 1e6:
        return formats.power(value, 1)
    return f"{value:.6g}" if abs(value) >= 100 else f"{value:.4g}"
