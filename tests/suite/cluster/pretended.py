"""A cluster that does at once what a test says, in place of one of dask.distributed."""

import json
import queue
from dataclasses import dataclass, replace

from adjointbench.suite.cluster.connection import Answer, ClusterLostError, Ended, Told
from adjointbench.suite.cluster.members import Members
from adjointbench.suite.cluster.pool import ClusterPool
from adjointbench.suite.measuring.code_key import code_hash
from adjointbench.suite.measuring.job import Job
from adjointbench.suite.measuring.machine import machine, versions
from adjointbench.suite.measuring.row import to_record


def job(problem="linear", method="finite-difference", **changes):
    given = {"rtols": (1e-3, 1e-5), "timeout_s": 60.0, "budget_s": 0.01} | changes
    return Job(problem=problem, method=method, **given)


#: It takes a while.
CODE = code_hash()


def about(name="alpha", **changes):
    """What a worker on the machine of that name says of itself."""
    given = {"code": CODE, "versions": versions(), "machine": machine() | {"machine": name}}
    return given | {"places": 1, "sees": True} | changes


def joined(connection, owners=None, **options):
    """The pool of those who have joined, and the list of what is said."""
    said, owners = [], owners or {}
    preferred = set(owners.values())
    members = Members(connection, said.append, preferred=preferred, **options)
    made = ClusterPool(connection, members, said.append, owners)
    made.wait()
    return made, said


@dataclass
class Future:
    key: str
    address: str
    task: Job
    released: bool = False

    def release(self):
        self.released = True


class Pretended:
    """A connection to workers that say this of themselves, and measure all that they are asked.

    `on_submit` may do something else with what was begun.
    """

    place = "tcp://pretended"

    def __init__(self, **workers):
        self.heard = queue.SimpleQueue()
        self.present = dict(workers)
        self.begun = []
        self.gone = False
        self.on_submit = self.measure

    def workers(self):
        if self.gone:
            raise ClusterLostError(f"the scheduler at {self.place} is gone")
        return set(self.present)

    def ask(self, address, seen):
        said = self.present[address]
        answer = Answer(address, None, said) if isinstance(said, str) else Answer(address, said)
        self.heard.put(answer)

    def submit(self, task, address):
        future = Future(f"key {len(self.begun)}", address, task)
        self.begun.append(future)
        self.on_submit(future)
        return future

    def begin(self, future):
        self.heard.put(Told(future.key))

    def rows(self, future):
        rows = future.task.unmeasured([], "ok", "")
        return [json.dumps(to_record(replace(row, referenced=True))) for row in rows]

    def measure(self, future):
        """Begin it, tell the first row as it comes, and all of them in the end."""
        self.begin(future)
        rows = self.rows(future)
        self.heard.put(Told(future.key, 0, rows[0]))
        self.heard.put(Ended(future.key, lambda: rows))

    def close(self):
        self.present = {}
