"""What one commit measured on one machine, and what several sections make of it: made once."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from functools import cached_property

import pandas as pd

from ...suite.measuring.equal_times import Ranking, rank_at_error
from ...suite.measuring.row import Row
from .endings import is_tried, is_wrong, why_missing
from .frames import rows_of
from .kinds import silently_wrong
from .machines import joined
from .summary import summary

#: Errors at which methods are raced, tightest first: the first that two methods reach counts.
RACES = (1e-8, 1e-6, 1e-4, 1e-2)

#: What stands between a method and its device.
_ON = " on "


class Ladders:
    """The ladders of tolerances that a report shows, and the tables that its sections share.

    Parameters
    ----------
    rows : DataFrame
        The rows of one machine and commit; on a device other than the CPU a method is one of its
        own, see :func:`name_devices`.
    lines : DataFrame, optional
        Their :func:`~adjointbench.reports.tables.summary.summary`, where it is made already.
    """

    def __init__(self, rows: pd.DataFrame, lines: pd.DataFrame | None = None) -> None:
        self.rows = rows
        self._lines = lines
        self._rankings: dict[tuple[str, float], Ranking] = {}

    @cached_property
    def lines(self) -> pd.DataFrame:
        """One line a method on a problem."""
        return summary(self.rows) if self._lines is None else self._lines

    @cached_property
    def by_problem(self) -> dict[str, pd.DataFrame]:
        """The rows of each problem, in alphabetical order."""
        return {str(name): mine for name, mine in self.rows.groupby("problem", sort=True)}

    @cached_property
    def judged(self) -> tuple[str, ...]:
        """The problems that have a reference."""
        found = {str(name) for name in self.rows.loc[self.rows["referenced"].eq(True), "problem"]}
        return tuple(name for name in self.by_problem if name in found)

    @cached_property
    def families(self) -> dict[str, str]:
        """The family of each method."""
        return dict(zip(self.rows["method"], self.rows["family"], strict=True))

    @cached_property
    def trusted(self) -> frozenset[str]:
        """The methods that no status ``ok`` is known to cover up for."""
        return frozenset(name for name in self.families if not silently_wrong(name))

    @cached_property
    def wrong(self) -> pd.Series:
        """Which rows say ``ok`` and are wrong."""
        return is_wrong(self.rows)

    @cached_property
    def stiff(self) -> pd.DataFrame:
        """The rows of problems that are stiff, skipped ones left out."""
        if "stiff" not in self.rows:
            return self.rows.iloc[:0]
        # A row that came from a timeout does not know the problem.
        known = set(self.rows.loc[self.rows["stiff"].eq(True), "problem"])
        return self.rows[self.rows["problem"].isin(known) & is_tried(self.rows)]

    @cached_property
    def _by_method(self) -> dict[str, dict[str, list[Row]]]:
        """The ladder of each method by problem, as :mod:`~adjointbench.suite` takes it."""
        found: dict[str, dict[str, list[Row]]] = {}
        for row in rows_of(self.rows):
            found.setdefault(row.problem, {}).setdefault(row.method, []).append(row)
        return found

    @cached_property
    def agreements(self) -> dict[str, float]:
        """To what each problem is certified: smaller errors than that are all alike."""
        found = self.rows.groupby("problem")["agreement"].min() if "agreement" in self.rows else {}
        return {str(name): float(value) for name, value in found.items() if value > 0}

    def can_judge(self, problem: str, error: float) -> bool:
        """Whether a problem's reference tells an error as small as this."""
        return error >= self.agreements.get(problem, 0.0)

    def ranking(self, problem: str, error: float) -> Ranking:
        """The methods by the time that each takes for a gradient error on a problem.

        Empty below what the problem is certified to.
        """
        key = (problem, error)
        if key not in self._rankings:
            known = self._by_method[problem] if self.can_judge(problem, error) else {}
            self._rankings[key] = rank_at_error(known, error)
        return self._rankings[key]

    def why_missing(self, problem: str, method: str) -> str:
        """Why a method is in no ranking of a problem: one of three things."""
        return why_missing(self._by_method[problem][method])

    def race(self, problem: str) -> tuple[float, Ranking]:
        """The tightest error of :data:`RACES` that two methods reach, else the loosest; who won."""
        found = ((error, self.ranking(problem, error)) for error in RACES)
        fallback = (RACES[-1], self.ranking(problem, RACES[-1]))
        return next((race for race in found if len(race[1]) >= 2), fallback)


def newest(
    rows: pd.DataFrame, among: pd.DataFrame | None = None, by: str = "study"
) -> pd.DataFrame:
    """The rows of the commit that is the newest `among` others, see :func:`.machines.joined`.

    The machine that measured it last is preferred; times are compared within the groups of `by`.
    """
    others = rows if among is None or among.empty else among
    if rows.empty:
        return rows
    latest = others.loc[others["date"].idxmax()]
    return joined(rows[rows["code"].eq(latest["code"])], latest["machine"], by)


def name_devices(table: pd.DataFrame) -> pd.DataFrame:
    """A method on a device other than the CPU is shown as a method of its own."""
    if table.empty:
        return table
    cpu = table["device"].eq("cpu")
    name = table["method"].where(cpu, table["method"] + _ON + table["device"].astype(str))
    return table.assign(method=name)


def without_device(method: str) -> str:
    """The name of a method as it was measured: the inverse of :func:`name_devices`."""
    return method.partition(_ON)[0]
