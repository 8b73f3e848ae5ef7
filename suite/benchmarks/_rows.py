"""Rows behind figures: measured when the first figure needs them, kept for the others.

asv runs each combination of each benchmark in a process of its own. All benchmarks of a run that
share one ``setup_cache`` start in one folder, new in every run and for every commit: there rows
are kept under what they are of. They are written into the file of rows beside asv's results too,
for reports.
"""

import dataclasses
import hashlib
import importlib
import os
import pickle
from pathlib import Path


def begin(results, quick):
    """Make the file of rows ready for a run of asv; its path.

    Rows of other code are set aside. Those of the same code are replaced as they are measured
    anew, and count as measured only where ``ADJOINTBENCH_ROWS`` names the file.
    """
    from adjointbench.suite.measuring.campaign import standing_rows
    from adjointbench.suite.measuring.rows import RowWriter, chosen_path

    path, _ = chosen_path(results)
    standing = standing_rows(path, quick=quick, say=print)
    if not standing.run.code:
        with RowWriter(path, anew=True, quick=quick) as writer:
            writer.end()  # what is not measured is not missing: nobody asked for it
    if os.environ.get("ADJOINTBENCH_ROWS"):
        keep(row for row in standing.rows if row.key in standing.done)
        keep(standing.claims)
    return path.resolve()


def rows_of(file, task, key=None):
    """The rows of a task, or those among them of `key`, by decreasing tolerance."""
    kept = _kept(task.key if key is None else key)
    if not kept.exists():
        keep(_measured(file, task))
    rows = pickle.loads(kept.read_bytes())
    return sorted(rows, key=lambda row: -getattr(row, "rtol", 0.0))


def keep(rows):
    """Keep rows for all benchmarks of this run."""
    by_key = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    for key, mine in by_key.items():
        _write(_kept(key), mine)


def once(name, make):
    """What `make` returns, made by the first that needs it; an error where that did not end."""
    kept, begun = _kept(name), _kept(name).with_suffix(".begun")
    if not kept.exists():
        if begun.exists():
            raise RuntimeError(f"{name}: it did not end for another figure of this run")
        begun.touch()
        _write(kept, make())
    return pickle.loads(kept.read_bytes())


def _measured(file, task):
    """Measure in a process that is killed when its time is over: that is a row as well."""
    from adjointbench.suite.measuring.campaign import Campaign
    from adjointbench.suite.measuring.rows import read_rows

    standing = read_rows(file)
    with Campaign(standing, 1, quick=bool(standing.run.quick)) as campaign:
        steps = campaign.measure([as_installed(task)])
        (rows,) = [step.rows for step in steps if step.kind == "measured"]
    return rows


def as_installed(task):
    """The task, as the checkout defines it, for the package that is installed to measure.

    What an older package does not know of it is left out.
    """
    module = type(task).__module__.partition(".")[2]
    installed = getattr(importlib.import_module(f"adjointbench.{module}"), type(task).__name__)
    known = {field.name for field in dataclasses.fields(installed)}
    return installed(**{name: value for name, value in vars(task).items() if name in known})


def _kept(key):
    return Path(f"{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}.pickle")


def _write(path, value):
    """All at once, for whoever reads at the same time."""
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(pickle.dumps(value))
    unfinished.replace(path)
