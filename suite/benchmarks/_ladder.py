"""What the benchmarks that read the measured ladder have in common."""

import json
import math
import os
from pathlib import Path

from adjointbench.suite.measuring.ladder import typical_rtol
from adjointbench.suite.measuring.rows import chosen_path
from adjointbench.suite.selection import results_version, selection

# asv names the folder of its configuration only in environments that it has built.
os.environ.setdefault("ASV_CONF_DIR", str(Path(__file__).parents[2]))

CHOSEN = selection()
VERSION = results_version()


class _Ladder:
    """Base: parameters, the shared measurement, and the rows of one combination.

    asv shares what ``setup_cache`` returns, the file of rows, between all classes that inherit this
    one function.
    """

    params = (CHOSEN.problems, CHOSEN.methods, CHOSEN.devices)
    param_names = ("problem", "method", "device")
    timeout = 300
    version = VERSION

    def setup_cache(self):
        from adjointbench.suite.collect import collect

        path, anew = chosen_path(_results_folder())
        return collect(CHOSEN, path, anew=anew)

    setup_cache.timeout = 24 * 3600

    def setup(self, file, problem, method, device):
        self.rows = ladder(file.rows, problem, method, device)
        typical = typical_rtol(row.rtol for row in self.rows)
        self.row = next(row for row in self.rows if row.rtol == typical)

    def figure(self, name):
        """A figure at the typical tolerance; NaN, which asv takes for skipped, where unknown."""
        value = getattr(self.row, name)
        return math.nan if value is None else value


def _results_folder():
    """Where asv puts the results of this run: the rows lie beside them."""
    configured = Path(os.environ["ASV_CONF_DIR"]) / "asv.conf.json"
    return configured.parent / json.loads(configured.read_text())["results_dir"]


class _CertifiedLadder(_Ladder):
    """Base of what compares with the certified reference: skipped where there is none."""

    def setup(self, file, problem, method, device):
        super().setup(file, problem, method, device)
        if not any(row.referenced for row in self.rows):
            raise NotImplementedError("the problem has no certified reference")


def ladder(rows, problem, method, device):
    """The rows of one combination; not implemented where the method refuses the problem."""
    from adjointbench.suite.measuring.rows import pick

    mine = pick(rows, problem, method, device)
    if not mine:
        raise NotImplementedError("not measured")
    if all(row.status == "skipped" for row in mine):
        raise NotImplementedError(mine[0].message)
    return mine
