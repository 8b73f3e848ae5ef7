"""How far the gradient is from the certified one, and from that of the same steps."""

import math

from ._checkout import CHOSEN, VERSION, check_known
from ._ladder import _CertifiedLadder, followed_error

#: Between two differences of the same steps, extrapolated, there may be so much.
_ROUNDING_OF_DIFFERENCES = 1e-10


class Accuracy(_CertifiedLadder):
    """Relative errors at the tolerance nearest to 1e-6; 1000 where there is no gradient."""

    unit = "relative error"

    def track_gradient_error(self, file, problem, method, device):
        return followed_error(self.row.error)

    def track_start_value_error(self, file, problem, method, device):
        return followed_error(self.row.dy0_error)

    def track_loss_error(self, file, problem, method, device):
        return followed_error(self.row.loss_error)


class AcceptedSteps:
    """The error against finite differences of the very steps that were accepted.

    A discrete adjoint is the exact derivative of its steps, so this is rounding, of the finite
    differences above all; a continuous adjoint differs by its own truncation error.
    """

    params = (
        CHOSEN.timed_problems if CHOSEN.quick else CHOSEN.problems,
        ("jax-discrete", "jax-backsolve"),
    )
    param_names = ("problem", "method")
    unit = "relative error"
    timeout = 300
    version = VERSION

    def setup(self, problem, method):
        check_known(problem, method)

    def track_frozen_error(self, problem, method):
        from adjointbench.suite.measuring.frozen_steps import frozen_step_error
        from adjointbench.suite.measuring.names import get_problem

        try:
            error = frozen_step_error(get_problem(problem), method)
        except ValueError:
            return math.nan  # the method refuses the problem: skipped
        return followed_error(error, _ROUNDING_OF_DIFFERENCES)
