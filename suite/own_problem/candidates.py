"""``Candidate``: what a method takes for the accuracy that was asked for, from its ladder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...adjoints.methods import find_method
from ..measuring.error_bars import said_so
from ..measuring.ladder import seconds_at_error, typical_rtol
from ..measuring.names import bare_name
from ..measuring.row import Row


@dataclass(frozen=True)
class Candidate:
    """What a method takes for the accuracy that was asked for.

    Attributes
    ----------
    method, family, backend, solver : str
    engine : str or None
        What ran it, where a method has several: ``"native"``, or the framework and why.
    compiled : bool
        Whether PyTorch compiled it.
    rtol, atol : float
        The loosest measured tolerances at which it is accurate enough.
    seconds : float
        Of one gradient at exactly the error asked for, between measured points by
        interpolation; where no error is known, at `rtol`.
    measured_seconds : float
        Of one gradient at `rtol`.
    error, dy0_error : float or None
        Of the gradient with respect to the parameters and to the start value, at `rtol`.
    estimated_error : float or None
        What its own error bar says of `error`, where it was asked for one.
    ratio : float or None
        Gradient over primal solve, at the typical tolerance.
    saved_bytes, first_call_s : float or None
        Bytes kept for the reverse pass at `rtol`; seconds of the first call, compilation
        included.
    """

    method: str
    family: str
    backend: str
    solver: str
    engine: str | None
    compiled: bool
    rtol: float
    atol: float
    seconds: float
    measured_seconds: float
    error: float | None
    dy0_error: float | None
    estimated_error: float | None
    ratio: float | None
    saved_bytes: float | None
    first_call_s: float | None

    @property
    def backward(self) -> bool:
        """Whether it integrates the state itself backwards.

        That can be unstable, and its status does not tell.
        """
        entry = find_method(bare_name(self.method))
        return entry is not None and entry.goes_back


def candidate(ladder: Sequence[Row], aim: float) -> Candidate | None:
    """What a method takes to get to the error `aim`; ``None`` where it does not.

    What calls itself inaccurate does not count.
    """
    honest = [row for row in ladder if not said_so(row)]
    seconds = seconds_at_error(honest, aim)
    if seconds is None:
        return None
    there = next(r for r in _timed(honest) if r.error is not None and r.error <= aim)
    return _made(ladder, there, seconds)


def unknown_candidate(ladder: Sequence[Row], error: float) -> Candidate | None:
    """What it takes where its own error bar says that it is accurate enough.

    Without one, at the measured tolerance nearest to `error`, accurate or not. What calls itself
    inaccurate does not count.
    """
    timed = [row for row in _timed(ladder) if not said_so(row)]
    if not timed:
        return None
    told = [row for row in timed if row.error_reliable and row.estimated_error is not None]
    there = next((row for row in told if (row.estimated_error or 0.0) <= error), None)
    if there is None:
        there = min(told or timed, key=lambda row: abs(math.log10(row.rtol / error)))
    return _made(ladder, there, there.seconds or 0.0)


def soundest(tied: Sequence[Candidate], in_trouble: set[str]) -> Candidate | None:
    """Of those that are as fast within noise, the one that is least likely to be wrong."""
    return min(tied, key=lambda c: (c.method in in_trouble, c.backward, c.seconds), default=None)


def _timed(ladder: Sequence[Row]) -> list[Row]:
    return [row for row in ladder if row.status == "ok" and row.seconds is not None]


def _made(ladder: Sequence[Row], there: Row, seconds: float) -> Candidate:
    typical = typical_rtol(row.rtol for row in ladder)
    at_typical = next(row for row in ladder if row.rtol == typical)
    firsts = [row.first_call_s for row in ladder if row.first_call_s is not None]
    return Candidate(
        method=there.method,
        family=there.family,
        backend=there.backend,
        solver=there.solver or "",
        engine=there.engine,
        compiled=there.compiled is not None,
        rtol=there.rtol,
        atol=there.atol or 0.0,
        seconds=seconds,
        measured_seconds=there.seconds or 0.0,
        error=there.error,
        dy0_error=there.dy0_error,
        estimated_error=there.estimated_error,
        ratio=at_typical.ratio,
        saved_bytes=there.saved_bytes,
        first_call_s=max(firsts, default=None),
    )
