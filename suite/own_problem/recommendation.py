"""Which method to use for one problem, and why: from measured rows to a plain recommendation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..measuring.equal_times import rank
from ..measuring.row import Row
from .candidates import Candidate, candidate, soundest, unknown_candidate
from .troubles import Trouble, broken, error_of, skipped, slow, wrong


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
        The fastest method that is accurate enough and does not integrate the state backwards, if
        any; of those that are as fast within noise one that gave no wrong gradient and did not
        break down. Where the fastest was asked for, it may go backwards.
    others : tuple of Candidate
        All others that are accurate enough, fastest first.
    close : tuple of str
        Those of them that are as fast as the best within noise, and to be trusted as much.
    faster : tuple of Candidate
        Those of them that are faster and not recommended: they integrate the state backwards,
        which can be unstable at other parameters, and their status does not tell.
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
    faster: tuple[Candidate, ...]
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
        """The fastest of each backend that is accurate enough, trusted as much as the best."""
        if self.best is None:
            return {}
        found = {self.best.backend: self.best}
        best_goes = self.best.backward
        for each in sorted(self.others, key=lambda c: c.backward and not best_goes):
            found.setdefault(each.backend, each)
        return found


def recommend(
    rows: Iterable[Row],
    error: float,
    *,
    problem: str = "",
    device: str = "cpu",
    agreement: float | None = None,
    left: Sequence[str] = (),
    fastest: bool = False,
) -> Recommendation:
    """The recommendation that follows from the rows of one problem.

    Parameters
    ----------
    rows : iterable of Row
        Of one problem and device.
    error : float
        The gradient error asked for.
    problem, device : str
        What the rows are about.
    agreement : float, optional
        How well the reference is known; no method is called more accurate. ``None`` where there
        is no reference: then the fastest method whose own error bar says that it is accurate
        enough, else the fastest, whose accuracy is not known.
    left : sequence of str
        Methods that could not be measured.
    fastest : bool
        Recommend the fastest, also where it integrates the state backwards.

    Returns
    -------
    Recommendation
    """
    ladders = _ladders(rows)
    aim = max(error, agreement or 0.0)
    found = [
        candidate(ladder, aim) if agreement is not None else unknown_candidate(ladder, error)
        for ladder in ladders.values()
    ]
    breaking = _all(broken, ladders)
    lying = _all(wrong, ladders)
    by_name = {c.method: c for c in found if c is not None}
    ranking = rank({name: c.seconds for name, c in by_name.items()})
    trusted = ranking.among(name for name, c in by_name.items() if fastest or not c.backward)
    trusted = trusted if len(trusted) else ranking
    if agreement is None:
        told = trusted.among(name for name in trusted.seconds if _says_right(by_name[name], error))
        trusted = told if len(told) else trusted
    tied = [by_name[name] for name in trusted.tied]
    best = soundest(tied, {trouble.method for trouble in (*breaking, *lying)})
    others = tuple(by_name[name] for name in ranking.seconds if by_name[name] is not best)
    return Recommendation(
        problem=problem,
        device=device,
        asked=error,
        agreement=agreement,
        best=best,
        others=others,
        close=trusted.as_fast_as(best.method) if best else (),
        faster=tuple(c for c in others if best and c.seconds < best.seconds and c.backward),
        short=_short(ladders, set(by_name), agreement),
        broken=breaking,
        wrong=lying,
        slow=_all(slow, ladders),
        skipped=skipped(ladders),
        left=tuple(left),
    )


def _says_right(found: Candidate, error: float) -> bool:
    """Whether its own error bar says that it is accurate enough."""
    return found.estimated_error is not None and found.estimated_error <= error


def _ladders(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each method, loosest tolerance first."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: -row.rtol):
        found.setdefault(row.method, []).append(row)
    return found


def _all(
    find: Callable[[Sequence[Row]], list[Trouble]], ladders: Mapping[str, Sequence[Row]]
) -> tuple[Trouble, ...]:
    return tuple(trouble for ladder in ladders.values() for trouble in find(ladder))


def _short(
    ladders: Mapping[str, Sequence[Row]], there: set[str], agreement: float | None
) -> tuple[tuple[str, float], ...]:
    """The methods that do not get to the accuracy, with their best error."""
    if agreement is None:
        return ()
    best = {
        method: min(errors)
        for method, ladder in ladders.items()
        if method not in there
        and (errors := [error_of(row) for row in ladder if row.status == "ok"])
    }
    return tuple(sorted(best.items(), key=lambda pair: pair[1]))
