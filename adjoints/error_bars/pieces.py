"""The mesh of a second gradient: steps cut into pieces, or joined in pairs, and in what words."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from ..program import Settings

Array = Any

#: What ``error_bar`` may be besides false, and by what the size of the steps is divided.
PIECES: dict[bool | str, float] = {True: 2.0, "joined": 0.5}

#: Into how many pieces a step is cut at most.
MOST_PIECES = 512

#: No reverse solve of coarser steps is looser.
LOOSEST = 0.1


def words_of(settings: Settings) -> str:
    """How the second of two gradients differs."""
    continuous = settings.method.family == "continuous"
    if settings.error_bar == "joined":
        return "pairs of steps joined" + (" and a looser reverse solve" if continuous else "")
    return "halved steps" + (" and a tighter reverse solve" if continuous else "")


def joined(t: Array, h: Array, stops: Array) -> tuple[Array, Array]:
    """Starts and sizes of steps joined in pairs, of as many rows: those left over have size zero.

    No step is joined with one on the other side of a stop.

    Parameters
    ----------
    t, h : array, shape (steps,)
        In the order of time; those of size zero come last.
    stops : array, shape (n,)
        The times at which the solve stops.
    """
    xp = array_namespace(t)
    stretch = xp.searchsorted(stops, xp.where(h > 0, t, float("inf")), side="right")
    number = xp.cumulative_sum(xp.ones_like(stretch), dtype=stretch.dtype) - 1
    began = xp.astype(xp.searchsorted(stretch, stretch), stretch.dtype)
    first = (number - began) % 2 == 0
    paired = stretch[1:] == stretch[:-1]
    following = xp.concat([xp.where(paired, h[1:], 0), xp.zeros_like(h[:1])])
    size = xp.where(first, h + following, 0)
    order = xp.argsort(xp.where(size > 0, number, number + t.shape[0]))
    return t[order], size[order]
