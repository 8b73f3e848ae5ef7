"""The races of each peer against our methods, at equal gradient error: computed once a report."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from ...adjoints.methods import get_method
from ...adjoints.methods.method import PEERS
from ...suite.measuring.equal_times import Ranking, outcome
from ...suite.measuring.names import bare_name
from .endings import is_tried
from .ladders import Ladders

#: Equal gradient errors at which times are compared.
ERRORS = (1e-3, 1e-5, 1e-7)

#: Who a peer races: our fastest method of any backend, and our fastest of the peer's own.
ANY, OWN = "any", "own"

#: How a race ended in which not both got there.
OURS_ALONE, PEER_ALONE, NEITHER = "ours alone", "peer alone", "neither"

_SIDE = ("ours", "seconds", "ratio", "outcome")

#: The columns of :func:`races`.
RACE = (
    *("problem", "stiff", "backend", "device", "peer", "error", "seconds_peer", "missing"),
    *(f"{name}_{side}" for side in (ANY, OWN) for name in _SIDE),
)


def races(ladders: Ladders) -> pd.DataFrame:
    """Each peer against our fastest methods, at equal gradient error.

    Returns
    -------
    DataFrame
        One line a (problem, peer, error of :data:`ERRORS`), of the columns :data:`RACE`. Against
        :data:`ANY` backend and the peer's :data:`OWN`: ``ours`` is our fastest method that may be
        trusted, ``seconds`` its time, ``ratio`` the peer's time over it, and ``outcome`` is
        ``"won"``, ``"lost"``, ``"equal"``, or who alone got there. ``missing`` says why the peer
        has no time. A problem without a reference, an error below what the reference is certified
        to, a method that was skipped throughout, and a peer that keeps the steps of other
        parameters take no part.
    """
    rows = ladders.rows[ladders.rows["problem"].isin(ladders.judged)]
    stiff = set(ladders.stiff["problem"])
    lines: list[dict[str, Any]] = []
    for (problem, device), group in rows[is_tried(rows)].groupby(["problem", "device"], sort=True):
        about = {"problem": problem, "stiff": problem in stiff, "device": device}
        lines += [about | line for line in _of_problem(ladders, str(problem), group)]
    table = pd.DataFrame(lines, columns=pd.Index(RACE))
    order = ["stiff", "problem", "backend", "peer", "error"]
    return table.sort_values(order, ascending=[True] * 4 + [False]).reset_index(drop=True)


def _of_problem(ladders: Ladders, problem: str, group: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The races on one problem and device; none where only one side was measured."""
    backends = dict(zip(group["method"], group["backend"], strict=True))
    peers = [
        name
        for name in backends
        if ladders.families[name] == PEERS and not get_method(bare_name(name)).keeps_steps
    ]
    ours = [name for name in backends if name not in peers and name in ladders.trusted]
    for error in ERRORS if ours else ():
        if not ladders.can_judge(problem, error):
            continue
        ranking = ladders.ranking(problem, error)
        for peer in peers:
            theirs = ranking.seconds.get(peer)
            own = [name for name in ours if backends[name] == backends[peer]]
            yield {
                "backend": backends[peer],
                "peer": peer,
                "error": error,
                "seconds_peer": theirs,
                "missing": "" if theirs is not None else ladders.why_missing(problem, peer),
                **_run(ranking.among(ours), theirs, ANY),
                **(_run(ranking.among(own), theirs, OWN) if own else {}),
            }


def _run(ours: Ranking, peer: float | None, side: str) -> dict[str, Any]:
    """How one race ended, with the seconds of ours where it got there."""
    found: dict[str, Any] = {}
    if len(ours):
        found = {"ours": ours.fastest, "seconds": ours.best}
    if peer is not None and len(ours):
        found |= {"ratio": peer / ours.best, "outcome": outcome(peer / ours.best)}
    else:
        found["outcome"] = OURS_ALONE if len(ours) else NEITHER if peer is None else PEER_ALONE
    return {f"{name}_{side}": value for name, value in found.items()}
