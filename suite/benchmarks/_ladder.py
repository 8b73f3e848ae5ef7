"""What the benchmarks that read measured rows have in common."""

import json
import math
import os
from pathlib import Path

from ._checkout import CHOSEN, TASKS, VERSION, check_known
from ._rows import begin, rows_of

#: Seconds beside those of a task itself: its process starts, and imports what it needs.
SPARE_S = 60


class _Measured:
    """Base: the file of rows, which one run of asv shares between all its benchmarks."""

    version = VERSION

    def setup_cache(self):
        return begin(_results_folder(), CHOSEN.quick)

    setup_cache.timeout = 120


class _Ladder(_Measured):
    """Base: a method on a problem, over the ladder of tolerances."""

    params = (CHOSEN.problems, CHOSEN.methods, CHOSEN.devices)
    param_names = ("problem", "method", "device")
    timeout = TASKS.ladder_job("", "", "", CHOSEN.quick).timeout_s + SPARE_S

    def setup(self, file, problem, method, device):
        from adjointbench.suite.measuring.ladder import typical_rtol

        self.rows = ladder(file, problem, method, device)
        typical = typical_rtol(row.rtol for row in self.rows)
        self.row = next(row for row in self.rows if row.rtol == typical)

    def figure(self, name):
        """A figure at the typical tolerance; NaN, which asv takes for skipped, where unknown."""
        value = getattr(self.row, name)
        return math.nan if value is None else value


class _CertifiedLadder(_Ladder):
    """Base of what compares with the certified reference: skipped where there is none."""

    def setup(self, file, problem, method, device):
        super().setup(file, problem, method, device)
        if not any(row.referenced for row in self.rows):
            raise NotImplementedError("the problem has no certified reference")


def ladder(file, problem, method, device="cpu"):
    """The rows of one combination; not implemented where the method refuses the problem."""
    selected(problem in CHOSEN.problems, "ADJOINTBENCH_PROBLEMS")
    selected(method in CHOSEN.methods, "ADJOINTBENCH_METHODS")
    check_known(problem, method)
    return not_refused(rows_of(file, TASKS.ladder_job(problem, method, device, CHOSEN.quick)))


def followed_error(error, floor=None):
    """A relative error as asv can follow it; the largest where there is none.

    It is finite, since asv cannot publish infinity, and no logarithm, since asv compares by
    ratios: of two negative numbers it calls the worse one better. What is below `floor`, by
    default that of rounding, is all the same.
    """
    from adjointbench.suite.measuring.errors import LARGEST_ERROR, ROUNDING

    if error is None or math.isnan(error):
        return LARGEST_ERROR
    return min(max(error, ROUNDING if floor is None else floor), LARGEST_ERROR)


def selected(wanted, variable):
    """Not implemented where the variable of the environment, set or not, leaves this out."""
    if not wanted:
        raise NotImplementedError(f"not measured; {variable} could ask for it")


def not_refused(rows):
    """The rows, where the method takes the problem."""
    if all(row.status == "skipped" for row in rows):
        raise NotImplementedError(rows[0].message)
    return rows


def _results_folder():
    """Where asv puts the results of this run: the rows lie beside them."""
    configured = Path(os.environ["ASV_CONF_DIR"]) / "asv.conf.json"
    return configured.parent / json.loads(configured.read_text())["results_dir"]
