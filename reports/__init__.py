"""Turn measured rows into tables, figures and one page: :func:`build_report`.

Nothing is measured here; :mod:`~adjointbench.suite.collect` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tables.changes import Comparison

__all__ = ["build_report", "compare_results"]


def build_report(
    results: Iterable[Path | str],
    out: Path | str,
    *,
    title: str = "Gradients of differential-equation solvers",
    compare: str | None = None,
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
        ``measurements.csv``, ``summary.csv``, ``benchmarks.csv`` (what asv recorded),
        ``comparison.csv`` and ``figures/``.
    title : str
        The heading of the page.
    compare : str, optional
        What to compare the newest results with: a file or folder of results, a commit (or what
        git knows it by), or a version of a library as ``"jax==0.9.0"``; by default the commit
        before, where it was measured as well. See :func:`compare_results`.
    say : callable
        Gets one sentence for each file that is missing, empty or broken; the rest is reported.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        Where not a single result could be read; the message lists each file and why. Where
        nothing was measured with `compare`.
    """
    # pandas and matplotlib take a second to import: only who asks for a report waits for them.
    from .build import build

    paths = [Path(path) for path in results]
    return build(paths, Path(out), title=title, say=say, compare=compare)


def compare_results(results: Iterable[Path | str], base: str) -> tuple[Comparison, tuple[str, ...]]:
    """The newest results against earlier ones: accuracy, stability, time and memory.

    Parameters
    ----------
    results : iterable of path
        As for :func:`build_report`.
    base : str
        As its `compare`.

    Returns
    -------
    comparison : Comparison
        A line a method on a problem in ``comparison.table``; its ``worse`` tells regressions.
    sentences : tuple of str
        What it says, in words.

    Raises
    ------
    ValueError
        Where nothing was measured with `base`, or nothing at all.
    """
    from .build import compared

    return compared([Path(path) for path in results], base)
