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
from ...suite.measuring.equal_times import NOISE
from ..tables.races import ANY, ERRORS, NEITHER, OURS_ALONE, OWN, PEER_ALONE
from ..tables.shown_table import Column, as_table
from .content import Part

_SIDES = {ANY: "our best of any backend", OWN: "our best of its own backend"}

_STANDINGS_NOTE = (
    "A race is one peer on one problem at one of the errors "
    f"{', '.join(map(formats.power, ERRORS))}. Won and lost are ours; within a factor of "
    f"{NOISE:g} it is equal. Ratios are the peer's time over ours, the median and the range. Ours "
    "is never a method that goes back along the state itself, however fast: its status does not "
    "tell when it is wrong. A peer without a time was not done in its time, broke down, or does "
    "not reach the error, by its tightest tolerance; that is no race won."
)

_RACES_NOTE = (
    "At each error first against our best of any backend, then against our best of the peer's own. "
    "Times interpolated between tolerances. A method that is more accurate already at its loosest "
    "tolerance takes that one's time. A dash: the error is below what the reference is certified "
    "to, or nothing of ours was measured on the backend. In seconds: peers.csv."
)


def peers_parts(found: pd.DataFrame, out: Path) -> list[Part]:
    """The parts about peers for which there is data; all races are written to ``peers.csv``.

    Parameters
    ----------
    found : DataFrame
        As from :func:`~adjointbench.reports.tables.races.races`.
    out : Path
        The folder of the report.
    """
    found.to_csv(out / "peers.csv", index=False)
    if found.empty:
        return []
    columns = (
        Column("peer", "peer"),
        *(Column(side, f"against {who}") for side, who in _SIDES.items()),
        Column("missing", "without a time"),
    )
    shown = as_table(standings(found), columns, stacks=True)
    parts = [Part("Against the peers, at equal error", table=shown, note=_STANDINGS_NOTE)]
    for stiff, heading in ((False, "Race by race"), (True, "Race by race, stiff problems")):
        mine = found[found["stiff"].eq(stiff)]
        if mine.empty:
            continue
        lines = race_lines(mine)
        columns = (
            Column("problem", "problem"),
            Column("peer", "peer"),
            *(
                Column(_column(error, side), f"{formats.power(error)}, {which}")
                for error in ERRORS
                for side, which in ((ANY, "any backend"), (OWN, "its own"))
            ),
        )
        shown = as_table(lines, columns, stacks=True)
        parts.append(Part(heading, table=shown, note=_RACES_NOTE))
    return parts


def standings(found: pd.DataFrame) -> pd.DataFrame:
    """One line a peer: its races against each side of ours in words, and why it had no time."""
    lines = []
    for peer, mine in found.groupby("peer", sort=True):
        why = mine["missing"][mine["missing"].ne("")].value_counts()
        told = {"missing": formats.ranked(why, formats.times) or formats.NONE}
        for side in _SIDES:
            told[side] = in_words(mine, side)
        lines.append({"peer": peer, "family": PEERS} | told)
    return pd.DataFrame(lines)


def in_words(found: pd.DataFrame, side: str) -> str:
    """How races ended: how many were won, lost and equal, and the ratios; a dash of none."""
    ended = found[f"outcome_{side}"]
    counts = {
        "won": ended.eq("won"),
        "lost": losses(found, side),
        "equal": ended.eq("equal"),
    }
    if not any(mine.any() for mine in counts.values()):
        return formats.NONE
    said = {word: f"{mine.sum()} {word}" for word, mine in counts.items()}
    if alone := ended.eq(PEER_ALONE).sum():
        said["lost"] += f" ({alone} as the peer alone gets there)"
    told = ", ".join(said.values())
    ratios = found[f"ratio_{side}"].dropna()
    if ratios.empty:
        return told
    median, ends = formats.amount(ratios.median()), formats.span(ratios, formats.amount)
    return f"{told}; {median}\N{NO-BREAK SPACE}×" + (f", {ends}" if ends != median else "")


def losses(found: pd.DataFrame, side: str) -> pd.Series:
    """Which races were lost, those in which the peer alone gets there among them."""
    return found[f"outcome_{side}"].isin(["lost", PEER_ALONE])


def race_lines(table: pd.DataFrame) -> pd.DataFrame:
    """The races as they are shown: one line a problem and peer, the outcomes in words.

    Parameters
    ----------
    table : DataFrame
        As from :func:`~adjointbench.reports.tables.races.races`.

    Returns
    -------
    DataFrame
        Columns ``problem``, ``peer``, ``family``, and one an error and side (``"1e-3 any"``).
    """
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for line in table.to_dict("records"):
        shown = lines.setdefault((line["problem"], line["peer"]), {})
        for side in _SIDES:
            if isinstance(line[f"outcome_{side}"], str):
                shown[_column(line["error"], side)] = _cell(line, side)
    names = [_column(error, side) for error in ERRORS for side in _SIDES]
    blank = {"family": PEERS} | dict.fromkeys(names, formats.NONE)
    return pd.DataFrame(
        [{"problem": name, "peer": peer} | blank | mine for (name, peer), mine in lines.items()]
    )


def _column(error: float, side: str) -> str:
    return f"{formats.power(error)} {side}"


def _cell(line: dict[str, Any], side: str) -> str:
    ended, ours, ratio = (line[f"{name}_{side}"] for name in ("outcome", "ours", "ratio"))
    if side == OWN and ours == line[f"ours_{ANY}"]:
        return "the same"
    if ended == PEER_ALONE:
        return f"lost: ours does not get there, the peer in {formats.seconds(line['seconds_peer'])}"
    if ended == OURS_ALONE:
        return f"peer {line['missing']}; {ours} in {formats.seconds(line[f'seconds_{side}'])}"
    if ended == NEITHER:
        return f"neither: the peer {line['missing']}"
    factor = f"{formats.amount(max(ratio, 1 / ratio))}\N{NO-BREAK SPACE}×"
    return f"equal ({factor}), {ours}" if ended == "equal" else f"{ended} by {factor}, {ours}"
