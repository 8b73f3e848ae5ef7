"""Which method to use for one problem, and why: from measured rows to a plain recommendation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...adjoints.methods import find_method
from ..measuring.equal_times import rank
from ..measuring.errors import WRONG
from ..measuring.ladder import known, seconds_at_error, typical_rtol
from ..measuring.names import bare_name
from ..measuring.rows import Row


@dataclass(frozen=True)
class Candidate:
    """What a method takes for the accuracy that was asked for.

    Attributes
    ----------
    method, family, backend, solver : str
    rtol, atol : float
        The loosest measured tolerances at which it is accurate enough.
    seconds : float
        Of one gradient at exactly the error asked for, between measured points by
        interpolation; where no error is known, at `rtol`.
    measured_seconds : float
        Of one gradient at `rtol`.
    error, dy0_error : float or None
        Of the gradient with respect to the parameters and to the start value, at `rtol`.
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
    rtol: float
    atol: float
    seconds: float
    measured_seconds: float
    error: float | None
    dy0_error: float | None
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


@dataclass(frozen=True)
class Trouble:
    """A method that breaks down, or says ``ok`` and is wrong, and at which tolerances.

    `status` and `phase` say how it broke down, ``"ok"`` that it did not; `error` is the worst of
    those that are wrong, `message` what the method says.
    """

    method: str
    status: str
    phase: str
    message: str
    rtols: tuple[float, ...]
    error: float | None = None


@dataclass(frozen=True)
class Recommendation:
    """The answer to "which adjoint should I use?".

    Attributes
    ----------
    problem, device : str
    asked : float
        The gradient error asked for.
    agreement : float or None
        How well the reference is known; ``None`` where there is none.
    best : Candidate or None
        The fastest method that is accurate enough; of those that are as fast within noise one
        that gave no wrong gradient, did not break down and needs no state backwards in time.
    others : tuple of Candidate
        All others that are accurate enough, fastest first.
    close : tuple of str
        Those of them that are as fast as the best within noise.
    short : tuple of (str, float)
        Methods that give gradients and do not get to the accuracy, with their best error; the
        most accurate first.
    broken, wrong, slow : tuple of Trouble
        `slow` are those that were not done with some tolerance in their share of the time.
    skipped : tuple of (str, tuple of str)
        Sentences why, each with the methods that were not tried for it.
    left : tuple of str
        Methods that were not measured, as no time was left.
    """

    problem: str
    device: str
    asked: float
    agreement: float | None
    best: Candidate | None
    others: tuple[Candidate, ...]
    close: tuple[str, ...]
    short: tuple[tuple[str, float], ...]
    broken: tuple[Trouble, ...]
    wrong: tuple[Trouble, ...]
    slow: tuple[Trouble, ...]
    skipped: tuple[tuple[str, tuple[str, ...]], ...]
    left: tuple[str, ...]

    @property
    def aim(self) -> float:
        """The error that counts: the one asked for, or what the reference can tell."""
        return max(self.asked, self.agreement or 0.0)

    @property
    def by_backend(self) -> dict[str, Candidate]:
        """The fastest of each backend that is accurate enough."""
        found: dict[str, Candidate] = {}
        for candidate in (self.best, *self.others) if self.best else ():
            found.setdefault(candidate.backend, candidate)
        return found


def recommend(
    rows: Iterable[Row],
    error: float,
    *,
    problem: str = "",
    device: str = "cpu",
    agreement: float | None = None,
    left: Sequence[str] = (),
) -> Recommendation:
    """The recommendation that follows from the rows of one problem.

    Parameters
    ----------
    rows : iterable of dict
        As of :func:`~adjointbench.suite.measuring.measure.iterate_ladder`, of one problem and
        device.
    error : float
        The gradient error asked for.
    problem, device : str
        What the rows are about.
    agreement : float, optional
        How well the reference is known; no method is called more accurate. ``None`` where there
        is no reference: then the fastest method is recommended whose accuracy is not known.
    left : sequence of str
        Methods that could not be measured.

    Returns
    -------
    Recommendation
    """
    ladders = _ladders(rows)
    aim = max(error, agreement or 0.0)
    found = [
        _candidate(ladder, aim) if agreement is not None else _unknown(ladder, error)
        for ladder in ladders.values()
    ]
    broken = tuple(t for ladder in ladders.values() for t in _ended(ladder, _broken))
    wrong = tuple(t for ladder in ladders.values() for t in _wrong(ladder))
    by_name = {c.method: c for c in found if c is not None}
    ranking = rank({name: c.seconds for name, c in by_name.items()})
    tied = [by_name[name] for name in ranking.tied]
    best = _soundest(tied, {trouble.method for trouble in (*broken, *wrong)})
    others = tuple(by_name[name] for name in ranking.seconds if by_name[name] is not best)
    return Recommendation(
        problem=problem,
        device=device,
        asked=error,
        agreement=agreement,
        best=best,
        others=others,
        close=ranking.as_fast_as(best.method) if best else (),
        short=_short(ladders, set(by_name), agreement),
        broken=broken,
        wrong=wrong,
        slow=tuple(t for ladder in ladders.values() for t in _ended(ladder, _slow)),
        skipped=_skipped(ladders),
        left=tuple(left),
    )


def _soundest(tied: Sequence[Candidate], in_trouble: set[str]) -> Candidate | None:
    """Of those that are as fast within noise, the one that is least likely to be wrong."""
    return min(tied, key=lambda c: (c.method in in_trouble, c.backward, c.seconds), default=None)


def _ladders(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each method, loosest tolerance first."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: -row["rtol"]):
        found.setdefault(row["method"], []).append(row)
    return found


def _statuses(ladder: Sequence[Row]) -> set[str]:
    return {row["status"] for row in ladder}


def _candidate(ladder: Sequence[Row], aim: float) -> Candidate | None:
    """What the method takes to get to the error `aim`; ``None`` where it does not."""
    seconds = seconds_at_error(ladder, aim)
    if seconds is None:
        return None
    there = next(row for row in ladder if _timed(row) and _error(row) <= aim)
    return _made(ladder, there, seconds)


def _unknown(ladder: Sequence[Row], error: float) -> Candidate | None:
    """What the method takes at the measured tolerance nearest to `error`, accurate or not."""
    timed = [row for row in ladder if _timed(row)]
    if not timed:
        return None
    there = min(timed, key=lambda row: abs(math.log10(row["rtol"] / error)))
    return _made(ladder, there, there["seconds"])


def _timed(row: Row) -> bool:
    return row["status"] == "ok" and known(row, "seconds") is not None


def _error(row: Mapping[str, Any]) -> float:
    error = known(row, "error")
    return math.inf if error is None else error


def _made(ladder: Sequence[Row], there: Row, seconds: float) -> Candidate:
    typical = typical_rtol(ladder)
    at_typical = next(row for row in ladder if row["rtol"] == typical)
    firsts = [first for row in ladder if (first := known(row, "first_call_s")) is not None]
    return Candidate(
        method=there["method"],
        family=there["family"],
        backend=there["backend"],
        solver=there.get("solver") or "",
        rtol=there["rtol"],
        atol=there["atol"],
        seconds=seconds,
        measured_seconds=there["seconds"],
        error=known(there, "error"),
        dy0_error=known(there, "dy0_error"),
        ratio=known(at_typical, "ratio"),
        saved_bytes=known(there, "saved_bytes"),
        first_call_s=max(firsts, default=None),
    )


def _short(
    ladders: Mapping[str, Sequence[Row]], there: set[str], agreement: float | None
) -> tuple[tuple[str, float], ...]:
    if agreement is None:
        return ()
    best = {
        method: min(_error(row) for row in ladder if row["status"] == "ok")
        for method, ladder in ladders.items()
        if method not in there and "ok" in _statuses(ladder)
    }
    return tuple(sorted(best.items(), key=lambda pair: pair[1]))


def _broken(row: Row) -> bool:
    return row["status"] not in ("ok", "skipped", "timeout")


def _slow(row: Row) -> bool:
    return row["status"] == "timeout"


def _ended(ladder: Sequence[Row], so: Callable[[Row], bool]) -> list[Trouble]:
    """How a method ended where it ended `so`, each way once."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in filter(so, ladder):
        how = (row["status"], row.get("phase") or "", row.get("message") or "")
        found.setdefault(how, []).append(row["rtol"])
    method = ladder[0]["method"]
    return [Trouble(method, *how, rtols=tuple(rtols)) for how, rtols in found.items()]


def _wrong(ladder: Sequence[Row]) -> list[Trouble]:
    """A method that says ``ok`` with an error of more than 10 %."""
    wrong = [r for r in ladder if r["status"] == "ok" and r.get("referenced")]
    wrong = [r for r in wrong if not _error(r) < WRONG]
    if not wrong:
        return []
    rtols = tuple(row["rtol"] for row in wrong)
    return [Trouble(ladder[0]["method"], "ok", "", "", rtols, max(map(_error, wrong)))]


def _skipped(
    ladders: Mapping[str, Sequence[Row]],
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, list[str]] = {}
    for method, ladder in ladders.items():
        sentence = next((r["message"] for r in ladder if r["status"] == "skipped"), None)
        if sentence is not None:
            found.setdefault(sentence.replace(f"method={method!r}", "it"), []).append(method)
    return tuple((sentence, tuple(methods)) for sentence, methods in found.items())
