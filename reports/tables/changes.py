"""Two codes, or two machines, side by side: what became better, what worse, what is chance.

A code is a commit with certain versions of the libraries; see :mod:`.codes`.
"""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...suite.measuring.errors import ROUNDING
from .codes import Run, changed_packages, find_code, in_order
from .endings import is_tried, is_wrong
from .noise import Noise, noise
from .summary import KEY

#: Factors that count as a change. Errors of adaptive solvers jump when one step more is taken;
#: bytes and evaluations do not depend on the machine; compilers are less steady than loops.
ERROR_CHANGE, COUNT_CHANGE, COMPILE_CHANGE = 2.0, 1.05, 1.5

#: The words of a verdict: what it is about, and how it is called when it grows and when it falls.
WORDS = {
    "error": ("less accurate", "more accurate"),
    "time": ("slower", "faster"),
    "memory": ("keeps more", "keeps less"),
    "evaluations": ("more evaluations", "fewer evaluations"),
    "first_call": ("slower first call", "faster first call"),
}
FEWER_RIGHT, MORE_RIGHT, SAME = "right less often", "right more often", "same"

#: What stands for the machine of a line that was measured on different ones.
NO_MACHINE = "–"

#: What makes a verdict one for the worse.
WORSE = (FEWER_RIGHT, *(grown for grown, _ in WORDS.values()))


@dataclass(frozen=True)
class Comparison:
    """Two codes side by side.

    Attributes
    ----------
    old, new : str
        The codes.
    table : DataFrame
        One line a (problem, method, device, machine) measured with both. Medians over the
        tolerances of new over old: ``time`` (put right by the drift of the machine), ``error``,
        ``memory``, ``evaluations``, ``first_call``; ``right_old`` and ``right_new`` count the
        tolerances that ended ``ok`` and not wrong; ``band`` is the factor within which its times
        are equal; ``verdict`` says it in words, and ``worse`` whether one of them is for the
        worse. What became worse comes first, then what changed otherwise.
    noise : dict of str to Noise
        By machine.
    alone : dict of str to list of str
        By code, what was measured with it alone, as ``"problem, method"``.
    same_machine : bool
        Whether times could be compared.
    """

    old: str
    new: str
    table: pd.DataFrame
    noise: dict[str, Noise]
    alone: dict[str, list[str]]
    same_machine: bool


def compare_with(
    rows: pd.DataFrame, runs: Sequence[Run], base: str | None = None
) -> Comparison | None:
    """The newest code against another one.

    Parameters
    ----------
    rows : DataFrame
        As from :func:`~adjointbench.reports.tables.read.read_measurements`.
    runs : sequence of mapping
        The heads of its files.
    base : str, optional
        What to compare with, see :func:`~adjointbench.reports.tables.codes.find_code`; by
        default the code before the newest, if there is one.

    Returns
    -------
    Comparison or None
        Nothing where only one code was measured and no base is asked for.

    Raises
    ------
    ValueError
        Where nothing was measured with `base`.
    """
    mine = [run for run in runs if not run.get("base")]
    ordered = in_order(rows[rows["code"].isin({run["code"] for run in mine})])
    new = ordered[-1] if ordered else ""
    if base is None and len(ordered) < 2:
        return None
    old = ordered[-2] if base is None else find_code(base, runs, new)
    sides = [[run for run in runs if run["code"] == code] for code in (old, new)]
    return compare_codes(rows, old, new, changed_packages(*sides))


def compare_codes(
    rows: pd.DataFrame, old: str, new: str, changed: Collection[str] = ()
) -> Comparison:
    """What changed from one code to another in accuracy, stability, time and memory.

    Parameters
    ----------
    rows : DataFrame
        As from :func:`~adjointbench.reports.tables.read.read_measurements`.
    old, new : str
        Two of its codes.
    changed : collection of str
        Libraries whose versions differ between the two, and so are no measure of the machine.

    Returns
    -------
    Comparison
        Machine by machine; what no machine measured with both, without times.
    """
    rows = rows.assign(right=rows["status"].eq("ok") & ~is_wrong(rows))
    sides = [rows[rows["code"].eq(code) & is_tried(rows)] for code in (old, new)]
    by = [name for name in KEY if name not in ("code", "machine")]
    timed = _lines(_pairs(sides, [*by, "machine"], same_machine=True), [*by, "machine"])
    apart = [_without(side, timed, by) for side in sides]
    untimed = _lines(_pairs(apart, by, same_machine=False), by).assign(machine=NO_MACHINE)
    measured = [lines for lines in (timed, untimed) if len(lines)]
    table = pd.concat(measured, ignore_index=True) if measured else timed.iloc[:0]
    found = {
        str(machine): Noise() if machine == NO_MACHINE else noise(mine, changed)
        for machine, mine in table.groupby("machine", sort=True)
    }
    table = _judged(table, found)
    found.pop(NO_MACHINE, None)
    return Comparison(old, new, table, found, _alone(sides, (old, new)), bool(len(timed)))


def _without(rows: pd.DataFrame, lines: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Those of `rows` that are of none of the `lines`."""
    known = pd.MultiIndex.from_frame(lines[by])
    return rows[~pd.MultiIndex.from_frame(rows[by]).isin(known)]


def _pairs(sides: list[pd.DataFrame], by: list[str], *, same_machine: bool) -> pd.DataFrame:
    """One line a tolerance that was measured with both, with the ratios new over old."""
    both = sides[0].merge(sides[1], on=[*by, "rtol"], suffixes=("_old", "_new"))
    both = both.copy()  # in one piece: pandas minds so many columns one by one
    floor = np.fmax(_column(both, "agreement_new").to_numpy(float), ROUNDING)
    for name, column in (
        ("time", "seconds"),
        ("memory", "saved_bytes"),
        ("evaluations", "rhs_evals"),
        ("first_call", "first_call_s"),
    ):
        before, after = both[f"{column}_old"], both[f"{column}_new"]
        both[name] = after / before.where(before > 0)
    if not same_machine:
        both[["time", "first_call"]] = np.nan
    # An error below what the reference is certified to says nothing.
    both["error"] = np.fmax(both["error_new"], floor) / np.fmax(both["error_old"], floor)
    both.loc[both["error_new"].isna() | both["error_old"].isna(), "error"] = np.nan
    spreads = [both[f"seconds_high_{s}"] / both[f"seconds_low_{s}"] for s in ("old", "new")]
    both["spread"] = np.fmax(*spreads)
    return both


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name] if name in table else pd.Series(np.nan, index=table.index)


def _lines(pairs: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    ratios = {name: (name, "median") for name in (*WORDS, "spread")}
    return (
        pairs.groupby(by, sort=True)
        .agg(
            **ratios,
            family=("family_new", "first"),
            backend=("backend_new", "first"),
            right_old=("right_old", "sum"),
            right_new=("right_new", "sum"),
            of=("rtol", "size"),
        )
        .reset_index()
    )


def _judged(table: pd.DataFrame, found: dict[str, Noise]) -> pd.DataFrame:
    """The lines with times put right, bands and verdicts; the worst first."""
    table = table.assign(
        time=table["time"] / table["machine"].map(lambda m: found[m].drift),
        band=np.fmax(table["machine"].map(lambda m: found[m].band), table["spread"]),
    ).drop(columns="spread")
    words = [_words(line) for line in table.to_dict("records")]
    table["verdict"] = [", ".join(said) or SAME for said in words]
    table["worse"] = [bool(set(said) & set(WORSE)) for said in words]
    order = np.lexsort((table["verdict"].eq(SAME), ~table["worse"]))
    return table.iloc[order].reset_index(drop=True)


def _words(line: dict[str, float]) -> list[str]:
    said = []
    if line["right_new"] != line["right_old"]:
        said.append(FEWER_RIGHT if line["right_new"] < line["right_old"] else MORE_RIGHT)
    limits = {
        "error": ERROR_CHANGE,
        "time": line["band"],
        "memory": COUNT_CHANGE,
        "evaluations": COUNT_CHANGE,
        "first_call": max(COMPILE_CHANGE, line["band"]),
    }
    for name, limit in limits.items():
        grown, fallen = WORDS[name]
        if line[name] > limit:
            said.append(grown)
        elif line[name] < 1 / limit:
            said.append(fallen)
    return said


def _alone(sides: list[pd.DataFrame], names: tuple[str, str]) -> dict[str, list[str]]:
    """By code what was measured with it alone."""
    measured = [dict.fromkeys(zip(side["problem"], side["method"], strict=True)) for side in sides]
    return {
        name: [", ".join(pair) for pair in mine if pair not in other]
        for name, mine, other in zip(names, measured, reversed(measured), strict=True)
    }


def compare_machines(table: pd.DataFrame) -> pd.DataFrame:
    """Seconds a gradient at the typical tolerance, a column a machine.

    Parameters
    ----------
    table : DataFrame
        As from :func:`~adjointbench.reports.tables.summary.summary`, of one code a machine.
    """
    wide = table.pivot_table(
        index=["problem", "method", "device"], columns="machine", values="seconds", sort=False
    )
    return wide.reset_index()
