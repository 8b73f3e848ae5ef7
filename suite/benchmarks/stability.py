"""On how much of the tolerance ladder a method cannot be trusted.

asv takes what grows for a regression, so that the figures here grow with what is bad; and it
compares by ratios, which say the opposite of what is negative.
"""

import math

from adjointbench.suite.measuring.ladder import amplification, observed_order, share_right

from ._ladder import _CertifiedLadder, _Ladder, followed_error


class Stability(_CertifiedLadder):
    """Figures over the whole ladder of tolerances."""

    def track_share_wrong_or_broken(self, file, problem, method, device):
        return 1.0 - share_right(self.rows)

    track_share_wrong_or_broken.unit = "share of the ladder"

    def track_missing_order(self, file, problem, method, device):
        """By how much the slope of log error against log tolerance falls short of one."""
        order = observed_order(self.rows)
        return math.nan if order is None else max(1.0 - order, 0.0)

    track_missing_order.unit = "1 - slope of log error against log tolerance"

    def track_amplification(self, file, problem, method, device):
        factor = amplification(self.rows)
        return math.nan if factor is None else followed_error(factor)

    track_amplification.unit = "gradient error / loss error"


class Success(_Ladder):
    """How much of the ladder does not end ``ok``, right or wrong.

    A solver that breaks down is a figure above zero; code that breaks is a failed benchmark.
    """

    def setup(self, file, problem, method, device):
        super().setup(file, problem, method, device)
        for row in self.rows:
            if row.exception:
                raise RuntimeError(row.message)

    def track_share_broken(self, file, problem, method, device):
        return sum(row.status != "ok" for row in self.rows) / len(self.rows)

    track_share_broken.unit = "share of the ladder"
