"""``adjointbench problems``: the zoo."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .. import problems as zoo
from .output import AsJson, console, print_json, refusing, table


def problems(
    stiff: Annotated[
        bool | None, typer.Option("--stiff/--no-stiff", help="Only (or no) stiff ones.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the problems: tags, sizes, stiffness, and how well the reference is certified.

    For example:

        adjointbench problems
        adjointbench problems --tag neural
        adjointbench problems --stiff --json
    """
    with refusing():
        rows = [_describe(name) for name in zoo.names(stiff=stiff, tag=tag)]
    if as_json:
        print_json(rows)
        return
    columns = ("name", "tags", ">states", ">parameters", "stiff", "time span", ">certified to")
    console().print(table("Problems", columns, map(_cells, rows)))


def _describe(name: str) -> dict[str, Any]:
    problem = zoo.get(name)
    reference = problem.reference
    return {
        "name": name,
        "tags": list(problem.tags),
        "states": problem.n_states,
        "parameters": problem.n_params,
        "stiff": problem.stiff,
        "t_span": list(problem.t_span),
        "dtype": str(problem.dtype),
        "settings": problem.settings,
        "certified": reference is not None,
        "agreement": None if reference is None else reference.agreement,
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["name"],
        ", ".join(row["tags"]),
        str(row["states"]),
        str(row["parameters"]),
        "stiff" if row["stiff"] else "",
        "{:g} … {:g}".format(*row["t_span"]),
        "" if row["agreement"] is None else f"{row['agreement']:.0e}",
    )
