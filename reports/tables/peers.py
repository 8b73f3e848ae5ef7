"""Our methods against the peers, and the kinds of adjoints on every backend: tables from rows."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from typing import Any

import pandas as pd

from ...adjoints.methods import METHODS, method_of
from ...suite.measuring import formats
from ...suite.measuring.equal_times import NOISE
from ...suite.measuring.ladder import typical_rtol
from ...suite.measuring.names import adjoint_of, bare_name
from .races import race
from .summary import is_wrong

#: Equal gradient errors at which times are compared.
ERRORS = (1e-3, 1e-5, 1e-7)

BACKENDS = ("jax", "torch", "scipy")

#: The kinds of our methods, in the order of the table.
KINDS = tuple(dict.fromkeys(m.adjoint for m in METHODS if m.family != "peers"))

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


def races(rows: pd.DataFrame) -> pd.DataFrame:
    """Each peer against our fastest method of the same backend, at equal gradient error.

    Parameters
    ----------
    rows : DataFrame
        The rows of one machine and commit.

    Returns
    -------
    DataFrame
        One line a (problem, peer, error of :data:`ERRORS`), of the columns :data:`RACE`:
        ``ours`` is our fastest method there, ``ratio`` the peer's seconds over its seconds, and
        ``outcome`` is ``"won"``, ``"lost"``, ``"equal"`` (within :data:`~.noise.NOISE`), or
        who did not reach the error: ``"peer does not reach"``, ``"ours does not reach"``,
        ``"neither reaches"``. A problem without a reference, and a method that was skipped
        throughout, take no part.
    """
    tried = rows[rows["status"].ne("skipped")]
    judged = set(rows.loc[rows["referenced"].eq(True), "problem"])
    stiff = set(rows.loc[rows["stiff"].eq(True), "problem"]) if "stiff" in rows else set()
    lines = []
    by = ["problem", "backend", "device"]
    for (problem, backend, device), group in tried.groupby(by, sort=True):
        peers, ours = (group[group["family"].eq("peers").eq(side)] for side in (True, False))
        if peers.empty or ours.empty or problem not in judged:
            continue
        about = {
            "problem": problem,
            "stiff": problem in stiff,
            "backend": backend,
            "device": device,
        }
        for error in ERRORS:
            best, theirs = race(ours, error), race(peers, error)
            for peer in peers["method"].unique():
                run = {"peer": peer, "error": error}
                lines.append(about | run | _outcome(best, theirs.get(peer)))
    table = pd.DataFrame(lines, columns=pd.Index(RACE))
    order = ["stiff", "problem", "backend", "peer", "error"]
    return table.sort_values(order, ascending=[True] * 4 + [False]).reset_index(drop=True)


def _outcome(ours: pd.Series, peer: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {"seconds_peer": peer}
    if len(ours):
        found |= {"ours": ours.index[0], "seconds_ours": ours.iloc[0]}
    if peer is None or ours.empty:
        who = "neither reaches" if ours.empty else "peer does not reach"
        return found | {"outcome": who if peer is None else "ours does not reach"}
    ratio = peer / ours.iloc[0]
    outcome = "won" if ratio > NOISE else "lost" if ratio < 1 / NOISE else "equal"
    return found | {"ratio": ratio, "outcome": outcome}


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
        for outcome, who in (
            ("peer does not reach", "it does not reach the error where we do"),
            ("ours does not reach", "it reaches the error where we do not"),
        ):
            if count := int(outcomes.eq(outcome).sum()):
                sentence += f"; {count} times {who}" if count > 1 else f"; once {who}"
        said.append(f"{sentence}.")
    return said


def kind_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Time and error of every kind of adjoint on every backend, at the typical tolerance.

    Parameters
    ----------
    rows : DataFrame
        The rows of one machine and commit.

    Returns
    -------
    DataFrame
        One line a (problem, kind): ``problem``, ``rtol``, ``kind``, ``family`` and a column a
        backend: time and error, or the status; a dash where it was not measured.
    """
    ours = rows[rows["family"].ne("peers")]
    wrong = is_wrong(ours)
    lines: dict[tuple[str, int], dict[str, Any]] = {}
    for problem, mine in ours.groupby("problem", sort=True):
        rtol = typical_rtol(mine["rtol"])
        for index, row in mine[mine["rtol"].eq(rtol)].iterrows():
            kind = adjoint_of(row["method"])
            if kind not in KINDS:
                continue
            about = {"problem": problem, "rtol": rtol, "kind": kind, "family": row["family"]}
            about |= dict.fromkeys(BACKENDS, "–")
            line = lines.setdefault((str(problem), KINDS.index(kind)), about)
            cell = _time_and_error(row, bool(wrong[index]))
            name = bare_name(row["method"])
            if differs := row["method"][len(name) :].strip():
                cell = f"{cell} {differs}"
            if name != method_of(kind, row["backend"]).name:
                cell = f"{cell} ({name})"
            before = line[row["backend"]]
            line[row["backend"]] = cell if before == "–" else f"{before}; {cell}"
    columns = ("problem", "rtol", "kind", "family", *BACKENDS)
    return pd.DataFrame([lines[key] for key in sorted(lines)], columns=pd.Index(columns))


def _time_and_error(row: Any, wrong: bool) -> str:
    if row["status"] != "ok":
        return str(row["status"])
    parts = [formats.seconds(row["seconds"])]
    if pd.notna(row["error"]):
        parts.append(formats.error(row["error"]))
    return ", ".join([*parts, *["wrong"] * wrong])


def uncompiled(rows: pd.DataFrame) -> list[str]:
    """What ran eagerly though it was to be compiled, and why, in sentences."""
    if "compiled" not in rows:
        return []
    eager = rows[rows["compiled"].notna() & rows["compiled"].ne("yes")]
    return [
        f"{method} ran eagerly on {', '.join(dict.fromkeys(mine['problem']))}, though it was to be "
        f"compiled: {str(reason).rstrip('.')}."
        for (method, reason), mine in eager.groupby(["method", "compiled"], sort=True)
    ]
