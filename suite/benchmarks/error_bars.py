"""What our gradients say of their own errors, and what it costs them to say it."""

import math

from ._checkout import CHOSEN, TASKS
from ._ladder import _CertifiedLadder

#: The methods that are asked; of the quick ones the first, as the others take the same steps.
ASKED = tuple(m for m in CHOSEN.methods if TASKS.ladder_job("", m, "", CHOSEN.quick).error_bars)


class ErrorBars(_CertifiedLadder):
    """Of the tolerances of the ladder, where methods are asked for error bars."""

    # asv minds a list without any.
    params = (
        CHOSEN.problems,
        (ASKED[:1] if CHOSEN.quick else ASKED) or CHOSEN.methods[:1],
        CHOSEN.devices,
    )
    unit = "factor"

    def setup(self, file, problem, method, device):
        super().setup(file, problem, method, device)
        if not any(getattr(row, "error_bar_status", None) for row in self.rows):
            raise NotImplementedError("its error bars are not measured here, or not by this commit")

    def track_worst_effectivity(self, file, problem, method, device):
        """Estimated over true error or its inverse, whichever is larger: the worst of them."""
        from adjointbench.suite.measuring.error_bars import effectivity

        found = [ratio for row in self.rows if (ratio := effectivity(row))]
        return max((max(ratio, 1 / ratio) for ratio in found), default=math.nan)

    def track_cost(self, file, problem, method, device):
        """Of a gradient with its error bar over the plain one, at the tolerance nearest to 1e-6."""
        return self.figure("error_bar_cost")
