"""The section of a report that races our methods against the peers, at equal gradient error."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ...adjoints.methods.method import PEERS
from ...suite.measuring import formats
from ...suite.measuring.equal_times import NOISE, Ranking, outcome
from ..tables.ladders import Ladders
from ..tables.shown_table import Column, as_table
from .content import Part

#: Equal gradient errors at which times are compared.
ERRORS = (1e-3, 1e-5, 1e-7)

#: The columns of :func:`races`.
RACE = (
    "problem",
    "stiff",
    "backend",
    "device",
    "peer",
    "error",
    "ours",
    "seconds_ours",
    "seconds_peer",
    "ratio",
    "outcome",
)


_RACES_NOTE = (
    "Our fastest method of the same backend against each peer, at equal gradient error, times "
    "interpolated between tolerances. Faster and slower are ours; within a factor of "
    f"{NOISE:g} it is equal. A method that is more accurate already at its loosest tolerance takes "
    "that one's time. In seconds: peers.csv."
)


def peers_parts(ladders: Ladders, out: Path) -> list[Part]:
    """The parts about peers for which there is data; all races are written to ``peers.csv``.

    Parameters
    ----------
    ladders : Ladders
        Those of one machine and commit.
    out : Path
        The folder of the report.
    """
    found = races(ladders)
    found.to_csv(out / "peers.csv", index=False)
    parts = []
    for stiff, heading in (
        (False, "Against the peers, at equal error"),
        (True, "Against the peers on stiff problems, at equal error"),
    ):
        mine = found[found["stiff"].eq(stiff)]
        if mine.empty:
            continue
        columns = (
            Column("problem", "problem"),
            Column("peer", "peer"),
            *(Column(name, f"at error {name}") for name in map(formats.power, ERRORS)),
        )
        shown = as_table(race_lines(mine), columns)
        parts.append(
            Part(heading=heading, sentences=tuple(standings(mine)), table=shown, note=_RACES_NOTE)
        )
    return parts


def races(ladders: Ladders) -> pd.DataFrame:
    """Each peer against our fastest method of the same backend, at equal gradient error.

    Returns
    -------
    DataFrame
        One line a (problem, peer, error of :data:`ERRORS`), of the columns :data:`RACE`:
        ``ours`` is our fastest method there, ``ratio`` the peer's seconds over its seconds, and
        ``outcome`` is ``"won"``, ``"lost"``, ``"equal"``, or who did not reach the error:
        ``"peer does not reach"``, ``"ours does not reach"``, ``"neither reaches"``. A problem
        without a reference, and a method that was skipped throughout, take no part.
    """
    rows = ladders.rows[ladders.rows["problem"].isin(ladders.judged)]
    stiff = set(ladders.stiff["problem"])
    lines, by = [], ["problem", "backend", "device"]
    tried = rows[rows["status"].ne("skipped")]
    for (problem, backend, device), group in tried.groupby(by, sort=True):
        is_peer = group["family"].eq(PEERS)
        peers, ours = (list(group.loc[side, "method"].unique()) for side in (is_peer, ~is_peer))
        about = {"problem": problem, "stiff": problem in stiff}
        about |= {"backend": backend, "device": device}
        for error in ERRORS if ours else ():
            ranking = ladders.ranking(str(problem), error)
            best = ranking.among(ours)
            lines += [
                about | {"peer": peer, "error": error} | _run(best, ranking.seconds.get(peer))
                for peer in peers
            ]
    table = pd.DataFrame(lines, columns=pd.Index(RACE))
    order = ["stiff", "problem", "backend", "peer", "error"]
    return table.sort_values(order, ascending=[True] * 4 + [False]).reset_index(drop=True)


def _run(ours: Ranking, peer: float | None) -> dict[str, Any]:
    """How one race ended, with the seconds of those who got there."""
    found: dict[str, Any] = {"seconds_peer": peer}
    if len(ours):
        found |= {"ours": ours.fastest, "seconds_ours": ours.best}
    if peer is None or not len(ours):
        who = "peer does not reach" if len(ours) else "neither reaches"
        return found | {"outcome": who if peer is None else "ours does not reach"}
    ratio = peer / ours.best
    return found | {"ratio": ratio, "outcome": outcome(ratio)}


def race_lines(table: pd.DataFrame) -> pd.DataFrame:
    """The races as they are shown: one line a problem and peer, the outcome in words.

    Parameters
    ----------
    table : DataFrame
        As from :func:`races`.

    Returns
    -------
    DataFrame
        Columns ``problem``, ``peer``, ``family``, and one an error (``"1e-3"``).
    """
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for line in table.to_dict("records"):
        shown = lines.setdefault((line["problem"], line["peer"]), {})
        shown[formats.power(line["error"])] = _in_words(line)
    return pd.DataFrame(
        [
            {"problem": problem, "peer": peer, "family": "peers"} | cells
            for (problem, peer), cells in lines.items()
        ]
    )


def _in_words(line: dict[str, Any]) -> str:
    if line["outcome"] == "ours does not reach":
        return (
            f"lost: no method here reaches it, the peer in {formats.seconds(line['seconds_peer'])}"
        )
    if line["outcome"] == "peer does not reach":
        return f"peer does not reach it; {line['ours']} in {formats.seconds(line['seconds_ours'])}"
    if line["outcome"] == "neither reaches":
        return "neither reaches it"
    ratio = line["ratio"]
    factor = f"{formats.amount(max(ratio, 1 / ratio))} × {'faster' if ratio >= 1 else 'slower'}"
    return f"{line['outcome']}: {line['ours']} {factor}"


def standings(table: pd.DataFrame) -> list[str]:
    """For each peer how often it was beaten and how often not, in a sentence.

    Parameters
    ----------
    table : DataFrame
        As from :func:`races`.
    """
    said = []
    for peer, mine in table.groupby("peer", sort=True):
        outcomes = mine["outcome"]
        run = mine[mine["ratio"].notna()]
        if run.empty:
            sentence = f"Against {peer}: no race at equal error"
        else:
            words = [f"{outcomes.eq(word).sum()} {word}" for word in ("won", "lost", "equal")]
            ratios = [formats.amount(run["ratio"].agg(f)) for f in ("median", "min", "max")]
            sentence = f"Against {peer}: {', '.join(words)}; its time over ours "
            sentence += "{}, from {} to {}".format(*ratios)
        for ended, who in (
            ("peer does not reach", "it does not reach the error where we do"),
            ("ours does not reach", "it reaches the error where we do not"),
        ):
            if count := int(outcomes.eq(ended).sum()):
                sentence += f"; {count} times {who}" if count > 1 else f"; once {who}"
        said.append(f"{sentence}.")
    return said
