"""Against what a user would pick instead, at equal gradient error."""

import math

from ._ladder import CHOSEN, VERSION, _Ladder, ladder

OURS = "jax-discrete"
PEERS = ("diffrax-recursive-checkpoint", "diffrax-backsolve", "diffrax-forward", "diffrax-direct")
ERRORS = (1e-3, 1e-5, 1e-7)

#: 2-64-64-2 tanh, a batch of 256, float32.
NEURAL = {"batch": 256, "hidden": 64, "layers": 2, "dtype": "float32"}


class EqualError(_Ladder):
    """Our time over a peer's for the same error on Lotka–Volterra."""

    params = (PEERS, ERRORS)
    param_names = ("peer", "error")

    def setup(self, file, peer, error):
        self.ours = ladder(file.rows, "lotka_volterra", OURS, "cpu")
        self.theirs = ladder(file.rows, "lotka_volterra", peer, "cpu")

    def track_time_over_peer(self, file, peer, error):
        from adjointbench.suite.measuring.ladder import seconds_at_error

        ours, theirs = seconds_at_error(self.ours, error), seconds_at_error(self.theirs, error)
        return math.nan if ours is None or theirs is None else ours / theirs

    track_time_over_peer.unit = "ratio"


class NeuralOde:
    """A classifier's gradient, 2-64-64-2 tanh, batch of 256, float32, at rtol 1e-4."""

    params = ((OURS, *(PEERS[:1] if CHOSEN.quick else PEERS)),)
    param_names = ("method",)
    timeout = 300
    version = VERSION

    def setup_cache(self):
        from adjointbench import problems
        from adjointbench.suite.measuring.measure import measure_ladder

        problem = problems.get("two_spirals", **NEURAL)
        return {
            method: measure_ladder(problem, method, (1e-4,), atol_scale=1.0, budget_s=1.0)[0]
            for method in self.params[0]
        }

    setup_cache.timeout = 1800

    def setup(self, measured, method):
        self.row = measured[method]
        if self.row.status == "skipped":
            raise NotImplementedError(self.row.message)
        if self.row.exception:
            raise RuntimeError(self.row.message)

    def track_gradient_seconds(self, measured, method):
        return math.nan if self.row.seconds is None else self.row.seconds

    track_gradient_seconds.unit = "seconds"

    def track_gradient_over_primal(self, measured, method):
        return math.nan if self.row.ratio is None else self.row.ratio

    track_gradient_over_primal.unit = "ratio"
