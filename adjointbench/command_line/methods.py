"""``adjointbench methods``: the table of adjoint methods."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .. import methods as find_methods
from .output import AsJson, console, print_json, refusing, table

if TYPE_CHECKING:
    from adjointbench.adjoints.methods.method import Method


def methods(
    family: Annotated[
        str | None, typer.Option(help="discrete, continuous, blackbox or peers.")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="jax, torch, scipy or native.")] = None,
    stiff: Annotated[
        bool | None,
        typer.Option("--stiff/--no-stiff", help="Only those with (or without) implicit solvers."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the adjoint methods: family, backend, cost, solvers, and what they support.

    For example:

        adjointbench methods
        adjointbench methods --family continuous --backend jax
        adjointbench methods --stiff --json
    """
    with refusing():
        found = find_methods(family=family, backend=backend, stiff=stiff)
    if as_json:
        print_json([asdict(method) | {"stiff": method.stiff} for method in found])
        return
    columns = ("method", "family", "backend", "stiff", "cost", "solvers", "supports")
    console().print(table("Adjoint methods", columns, map(_cells, found)))


def _cells(method: Method) -> tuple[str, ...]:
    return (
        method.name,
        method.family,
        method.backend,
        method.stiff_solver or "",
        method.cost,
        ", ".join(method.solvers),
        ", ".join(sorted(method.supports)),
    )
