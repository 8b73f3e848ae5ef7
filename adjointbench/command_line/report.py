"""``adjointbench report``: from results of asv to tables, figures and a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .output import AsJson, print_json, refusing


def report(
    results: Annotated[
        list[Path] | None,
        typer.Argument(help="Files or folders of results; .asv/results by default."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("report"),
    as_json: AsJson = False,
) -> None:
    """Write the comparison report: CSV, Markdown and one self-contained HTML page.

    Give the results of several machines to see them side by side, or of two commits to
    compare them.

    For example:

        adjointbench report
        adjointbench report .asv/results server/results --out comparison
    """
    with refusing(extra="report"):
        from adjointbench.reports import build_report

        page = build_report(results or [Path(".asv/results")], out, say=_say)
    if as_json:
        print_json({"report": str(page.resolve())})
    else:
        print(f"The report is at {page.resolve()}")


def _say(trouble: str) -> None:
    print(f"adjointbench: {trouble}", file=sys.stderr)
