"""Measure gradients, and turn the results into tables, figures and one page.

:func:`build_report` makes the report; :mod:`~adjointbench.reports.measure` measures one method
on one problem, :mod:`~adjointbench.reports.collect` many on many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = ["build_report"]


def build_report(
    results: Iterable[Path | str],
    out: Path | str,
    *,
    title: str = "Gradients of differential-equation solvers",
    say: Callable[[str], object] = print,
) -> Path:
    """Write a report about measured results.

    Parameters
    ----------
    results : iterable of path
        Files of rows (``.jsonl``), asv result files (``.json``), or folders of both; of one
        machine or several, of one commit or several.
    out : path
        The folder to write into: ``index.html`` (one self-contained page), ``report.md``,
        ``measurements.csv``, ``summary.csv``, ``benchmarks.csv`` (what asv recorded) and
        ``figures/``.
    title : str
        The heading of the page.
    say : callable
        Gets one sentence for each file that is missing, empty or broken; the rest is reported.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        Where not a single result could be read; the message lists each file and why.
    """
    # pandas and matplotlib take a second to import: only who asks for a report waits for them.
    from .build import build

    return build([Path(path) for path in results], Path(out), title=title, say=say)
