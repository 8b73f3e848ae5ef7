"""On how much of the tolerance ladder a method can be trusted."""

import math

from adjointbench.reports.errors import log10_error
from adjointbench.reports.ladder import amplification, observed_order, share_right

from ._ladder import _CertifiedLadder, _Ladder


class Stability(_CertifiedLadder):
    """Figures over the whole ladder of tolerances."""

    def track_share_right(self, rows, problem, method, device):
        return share_right(self.rows)

    track_share_right.unit = "share of the ladder"

    def track_observed_order(self, rows, problem, method, device):
        order = observed_order(self.rows)
        return math.nan if order is None else order

    track_observed_order.unit = "slope of log error against log tolerance"

    def track_log10_amplification(self, rows, problem, method, device):
        factor = amplification(self.rows)
        return math.nan if factor is None else log10_error(factor)

    track_log10_amplification.unit = "log10(gradient error / loss error)"


class Success(_Ladder):
    """How much of the ladder ends ``ok``, right or wrong.

    A solver that breaks down is a figure below one; code that breaks is a failed benchmark.
    """

    def setup(self, rows, problem, method, device):
        super().setup(rows, problem, method, device)
        for row in self.rows:
            if row.get("exception"):
                raise RuntimeError(row["message"])

    def track_share_ok(self, rows, problem, method, device):
        return sum(row["status"] == "ok" for row in self.rows) / len(self.rows)

    track_share_ok.unit = "share of the ladder"
