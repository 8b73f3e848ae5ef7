"""``adjointbench report``: from results of asv to tables, figures and a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .output import OK, WRONG, AsJson, console, print_json, refusing, say_beside, table, working


def report(
    results: Annotated[
        list[Path] | None,
        typer.Argument(help="Files or folders of results; .asv/results by default."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("report"),
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="BASE",
            help="What to compare the newest results with: a commit or what git knows it by, a "
            "version as jax==0.9.0, or a file or folder of results. Ends with 1 where something "
            "became worse.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the comparison report: CSV, Markdown and one self-contained HTML page.

    Give the results of several machines to see them side by side, or of two commits to
    compare them.

    For example:

        adjointbench report
        adjointbench report .asv/results server/results --out comparison
        adjointbench report --compare main~1
    """
    chosen = results or [Path(".asv/results")]
    with refusing(extra="report"):
        from adjointbench.reports import build_report, compare_results

        with working(f"Reading the results, and writing the report into {out} ..."):
            page = build_report(chosen, out, compare=compare, say=say_beside)
            found = None if compare is None else compare_results(chosen, compare)
    record: dict[str, Any] = {"report": str(page.resolve())}
    worse = False
    if found is not None:
        comparison, sentences = found
        lines = comparison.table.to_dict("records")
        worse = any(line["worse"] for line in lines)
        record["comparison"] = {"sentences": sentences, "lines": lines}
        if not as_json:
            _print_comparison(sentences, lines)
    if as_json:
        print_json(record)
    else:
        print(f"The report is at {record['report']}")
    raise typer.Exit(WRONG if worse else OK)


def _print_comparison(sentences: Sequence[str], lines: list[dict[Any, Any]]) -> None:
    """What changed, the worst first; what did not is in the report."""
    print("\n".join(sentences))
    changed = [line for line in lines if line["verdict"] != "same"]
    columns = ("problem", "method", "what changed", ">time", ">error", ">right", ">bytes kept")
    if changed:
        console().print(table("New over old", columns, map(_cells, changed)))


def _cells(line: dict[Any, Any]) -> tuple[str, ...]:
    from adjointbench.suite.measuring.formats import amount

    ratios = {name: amount(line[name]) for name in ("time", "error", "memory")}
    right = f"{line['right_old']} to {line['right_new']} of {line['of']}"
    words = line["verdict"] if not line["worse"] else f"[red]{line['verdict']}[/]"
    where = line["problem"], line["method"], words
    return *where, ratios["time"], ratios["error"], right, ratios["memory"]
