"""``adjointbench merge``: files of rows from several machines as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import AsJson, print_json, refusing


def merge(
    files: Annotated[list[Path], typer.Argument(help="Files of rows, or folders that hold some.")],
    out: Annotated[Path, typer.Option(help="The file to write; may be one of them.")],
    as_json: AsJson = False,
) -> None:
    """Merge files of rows: of several machines, commits or days, for 'adjointbench report'.

    Of what one machine has measured twice the newest stands. What differs is told: versions,
    commits, and how things ended. Nothing that is no file of rows is read or overwritten.

    For example:

        adjointbench merge laptop.jsonl server.jsonl --out both.jsonl
        adjointbench merge results/machines --out all.jsonl
        adjointbench report all.jsonl
    """
    with refusing():
        from adjointbench.problems.files import checked_file
        from adjointbench.suite.merging import merge as merge_files

        found = merge_files(files, checked_file("out", out))
    if as_json:
        record = {"rows": str(out), "count": found.rows, "machines": found.machines}
        print_json(record | {"differences": found.sentences})
        return
    for sentence in found.sentences:
        print(sentence)
    machines = "machine" if len(found.machines) == 1 else "machines"
    print(f"{found.rows} rows of {len(found.machines)} {machines} in {out}")
