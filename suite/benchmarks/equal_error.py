"""Against what a user would pick instead, at equal gradient error."""

import math

from ._checkout import CHOSEN, check_known, of_checkout
from ._ladder import SPARE_S, _Ladder, _Measured, ladder, not_refused
from ._rows import rows_of

_STUDY = of_checkout("suite.measuring.studies.neural")
ERRORS = (1e-3, 1e-5, 1e-7)


class EqualError(_Measured):
    """Our time over a peer's for the same error on Lotka–Volterra."""

    params = (_STUDY.PEERS, ERRORS)
    param_names = ("peer", "error")
    timeout = 2 * _Ladder.timeout

    def setup(self, file, peer, error):
        self.theirs = ladder(file, "lotka_volterra", peer)
        self.ours = ladder(file, "lotka_volterra", _STUDY.OURS)

    def track_time_over_peer(self, file, peer, error):
        from adjointbench.suite.measuring.ladder import seconds_at_error

        ours, theirs = seconds_at_error(self.ours, error), seconds_at_error(self.theirs, error)
        return math.nan if ours is None or theirs is None else ours / theirs

    track_time_over_peer.unit = "ratio"


class NeuralOde(_Measured):
    """A classifier's gradient, 2-64-64-2 tanh, batch of 256, float32, at rtol 1e-4."""

    params = (_STUDY.methods(quick=CHOSEN.quick),)
    param_names = ("method",)
    timeout = _STUDY.TIMEOUT_S + SPARE_S

    def setup(self, file, method):
        check_known(_STUDY.PROBLEM, method)
        (self.row,) = not_refused(rows_of(file, _STUDY.job(method)))
        if self.row.exception:
            raise RuntimeError(self.row.message)

    def track_gradient_seconds(self, file, method):
        return math.nan if self.row.seconds is None else self.row.seconds

    track_gradient_seconds.unit = "seconds"

    def track_gradient_over_primal(self, file, method):
        return math.nan if self.row.ratio is None else self.row.ratio

    track_gradient_over_primal.unit = "ratio"
