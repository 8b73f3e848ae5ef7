"""``--cluster``: the option of the commands that measure, and what they say where it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from .output import USAGE, refuse, say_beside

Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Measure on a cluster of dask.distributed: its scheduler, as tcp://10.0.0.1:8786, or "
        "the file that it writes.",
        show_default=False,
    ),
]


@contextmanager
def telling_loss(kept: str) -> Iterator[None]:
    """Say in a sentence that a cluster was lost, and what is `kept`; or that there is none."""
    from adjointbench.suite.cluster import ClusterError, ClusterLostError

    try:
        yield
    except ClusterLostError as error:
        say_beside(f"{error}; {kept}")
        raise typer.Exit(USAGE) from None
    except ClusterError as error:
        refuse(error)
