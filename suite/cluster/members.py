"""``Members``: the machines of a cluster that measure, one worker of dask on each.

Code and versions of a worker have to be those of who asks, or its numbers would be of something
else: it is refused in a sentence. Of several workers on one machine one measures, as times are
taken in its silence; the others take its place when it is lost.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..measuring.code_key import code_hash
from ..measuring.machine import versions
from .connection import Answer, ClusterLostError, Connection

#: Seconds between two looks at which workers there are.
LOOK_S = 2.0

#: Seconds without any worker after which it is given up.
PATIENCE_S = 600.0

#: Seconds in which another worker of the same machine may take the place of one that is lost.
RETURN_S = 20.0

#: Names of packages in a sentence, at most.
_NAMED = 4


@dataclass(frozen=True)
class Member:
    """A worker that measures: its machine, and how many tasks at a time."""

    address: str
    machine: Mapping[str, str]
    places: int

    @property
    def name(self) -> str:
        """The name of its machine."""
        return self.machine["machine"]


class Members:
    """Who measures at the moment.

    Parameters
    ----------
    connection : Connection
    say : callable
        Is told who joins, and who is refused and why.
    seen : str
        A file that all have to see, on a file system that they share; none where empty.
    alone : bool
        Take one machine only, that with most places, and never another.
    preferred : collection of str
        The names of machines to take where one only is taken.
    one_at_a_time : bool
        Let each measure one task at a time, however many it could.
    """

    def __init__(
        self,
        connection: Connection,
        say: Callable[[str], Any],
        *,
        seen: str = "",
        alone: bool = False,
        preferred: Collection[str] = (),
        one_at_a_time: bool = False,
    ) -> None:
        self._connection = connection
        self._say = say
        self._seen = seen
        self._alone = alone
        self._settled = not alone
        self._preferred = preferred
        self._most_places = 1 if one_at_a_time else math.inf
        self._own = {"code": code_hash(), "versions": versions()}
        self._asked: set[str] = set()
        self._able: dict[str, Member] = {}
        self._refused: dict[str, str] = {}
        self._looked = -LOOK_S
        self._last_seen, self._told = time.monotonic(), False
        self._here: dict[str, Member] = {}

    @property
    def here(self) -> dict[str, Member]:
        """Who measures, by the name of the machine."""
        return self._here

    @property
    def asked(self) -> set[str]:
        """The addresses of workers that have yet to describe themselves."""
        return self._asked - set(self._able) - set(self._refused)

    def look(self) -> None:
        """See who has come and who has gone, unless that was done a moment ago.

        Raises
        ------
        ClusterLostError
            Where there is nobody left to wait for.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        present = self._connection.workers()
        self._asked &= present
        for address in sorted(present - self._asked):
            self._asked.add(address)
            self._connection.ask(address, self._seen)
        self._able = {a: member for a, member in self._able.items() if a in present}
        self._refused = {a: why for a, why in self._refused.items() if a in present}
        self._choose()
        self._be_patient(present, now)

    def hear(self, answer: Answer) -> None:
        """Take on a worker that has described itself, or refuse it."""
        if answer.address not in self._asked:
            return  # it is gone again
        why_not = self._why_not(answer)
        if why_not or answer.about is None:
            self._refused[answer.address] = why_not
            self._say(f"the worker {answer.address} is refused: {why_not}")
            return
        about = answer.about
        places = int(min(about["places"], self._most_places))
        self._able[answer.address] = Member(answer.address, about["machine"], places)
        self._choose()

    def settle(self) -> None:
        """Take those who are here; where one only is taken, it is that one from now on."""
        if not self._settled:
            self._settled, self._preferred = True, tuple(self._here)
            self._tell(self._here.values())

    def give_up(self, member: Member) -> None:
        """Ask nothing more of a worker."""
        self._able.pop(member.address, None)
        self._refused[member.address] = "it did not answer in time"
        self._choose()

    def _choose(self) -> None:
        """One worker a machine: the one that is at it already, or else any."""
        stay = [m for m in self._here.values() if self._able.get(m.address) == m]
        chosen: dict[str, Member] = {}
        for member in [*stay, *sorted(self._able.values(), key=lambda m: m.address)]:
            chosen.setdefault(member.name, member)
        if self._alone and chosen:
            first = max(
                chosen.values(), key=lambda m: (m.name in self._preferred, m.places, m.name)
            )
            chosen = (
                {first.name: first} if not self._settled or first.name in self._preferred else {}
            )
        self._tell([] if not self._settled else [m for m in chosen.values() if m not in stay])
        self._here = chosen

    def _tell(self, joined: Iterable[Member]) -> None:
        for member in joined:
            self._say(f"{member.name} measures {_tasks(member.places)} ({member.address})")

    def _why_not(self, answer: Answer) -> str:
        """Why a worker cannot measure; empty where it can."""
        about = answer.about
        if about is None:
            return answer.why_not
        python = about["machine"]["python"]
        if python.split(".")[:2] != platform.python_version().split(".")[:2]:
            return f"it has Python {python}, not {platform.python_version()} as here"
        if about["versions"] != self._own["versions"]:
            return _differences(about["versions"], self._own["versions"])
        if about["code"] != self._own["code"]:
            return "its code of adjointbench is another one than here; check out the same commit"
        if not about["sees"]:
            return f"it does not see {self._seen}; that has to lie on a file system which it shares"
        for other in self._able.values():
            if other.name == about["machine"]["machine"] and other.machine != about["machine"]:
                return (
                    f"another machine is called {other.name} as well; give it a name of its own, "
                    "ADJOINTBENCH_MACHINE=name, before its worker starts"
                )
        return ""

    def _be_patient(self, present: set[str], now: float) -> None:
        if self._here:
            self._last_seen, self._told = now, False
            return
        if present and set(self._refused) == present:
            raise ClusterLostError(
                f"no worker of {self._connection.place} can measure: "
                + "; ".join(sorted(set(self._refused.values())))
            )
        if self._alone and self._settled and now - self._last_seen > RETURN_S:
            raise ClusterLostError(
                f"{', '.join(self._preferred)} is lost, and what is compared has to be measured on "
                "one machine"
            )
        if now - self._last_seen > PATIENCE_S:
            raise ClusterLostError(
                f"{self._connection.place} had no worker for {PATIENCE_S:.0f} s; start some, as "
                "with dask worker ADDRESS"
            )
        if not present and not self._told:
            self._told = True
            self._say(f"waiting for a worker of {self._connection.place} ...")


def _tasks(places: int) -> str:
    return "one task at a time" if places == 1 else f"{places} tasks at a time"


def _differences(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Which packages are others on a worker, in words."""
    differ = [
        f"{name} {there.get(name, 'none')} and not {here.get(name, 'none')}"
        for name in dict.fromkeys([*here, *there])
        if there.get(name) != here.get(name)
    ]
    more = f" and {len(differ) - _NAMED} more" if len(differ) > _NAMED else ""
    return f"its packages differ from those here: it has {', '.join(differ[:_NAMED])}{more}"
