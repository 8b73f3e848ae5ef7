"""Against what a user would pick instead, at equal gradient error."""

import math

from ._checkout import CHOSEN, TASKS, check_known
from ._ladder import SPARE_S, _Ladder, _Measured, ladder, not_refused
from ._rows import rows_of

OURS = "jax-discrete"
PEERS = ("diffrax-recursive-checkpoint", "diffrax-backsolve", "diffrax-forward", "diffrax-direct")
ERRORS = (1e-3, 1e-5, 1e-7)

#: 2-64-64-2 tanh and a batch of 256 are its published settings.
NEURAL = "two_spirals(dtype=float32)"
NEURAL_TIMEOUT_S = 240


class EqualError(_Measured):
    """Our time over a peer's for the same error on Lotka–Volterra."""

    params = (PEERS, ERRORS)
    param_names = ("peer", "error")
    timeout = 2 * _Ladder.timeout

    def setup(self, file, peer, error):
        self.theirs = ladder(file, "lotka_volterra", peer)
        self.ours = ladder(file, "lotka_volterra", OURS)

    def track_time_over_peer(self, file, peer, error):
        from adjointbench.suite.measuring.ladder import seconds_at_error

        ours, theirs = seconds_at_error(self.ours, error), seconds_at_error(self.theirs, error)
        return math.nan if ours is None or theirs is None else ours / theirs

    track_time_over_peer.unit = "ratio"


class NeuralOde(_Measured):
    """A classifier's gradient, 2-64-64-2 tanh, batch of 256, float32, at rtol 1e-4."""

    params = ((OURS, *(PEERS[:1] if CHOSEN.quick else PEERS)),)
    param_names = ("method",)
    timeout = NEURAL_TIMEOUT_S + SPARE_S

    def setup(self, file, method):
        check_known(NEURAL, method)
        job = TASKS.Job(
            problem=NEURAL,
            method=method,
            study="neural",
            rtols=(1e-4,),
            atol_scale=1.0,
            budget_s=1.0,
            timeout_s=NEURAL_TIMEOUT_S,
        )
        (self.row,) = not_refused(rows_of(file, job))
        if self.row.exception:
            raise RuntimeError(self.row.message)

    def track_gradient_seconds(self, file, method):
        return math.nan if self.row.seconds is None else self.row.seconds

    track_gradient_seconds.unit = "seconds"

    def track_gradient_over_primal(self, file, method):
        return math.nan if self.row.ratio is None else self.row.ratio

    track_gradient_over_primal.unit = "ratio"
