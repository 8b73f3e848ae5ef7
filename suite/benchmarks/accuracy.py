"""How far the gradient is from the certified one, and from that of the same steps."""

import math

from adjointbench.suite.measuring.errors import log10_error

from ._checkout import CHOSEN, VERSION, check_known
from ._ladder import _CertifiedLadder


class Accuracy(_CertifiedLadder):
    """log10 of relative errors at the tolerance nearest to 1e-6; 3 where there is no gradient."""

    unit = "log10(relative error)"

    def track_log10_gradient_error(self, file, problem, method, device):
        return self._log10("error")

    def track_log10_start_value_error(self, file, problem, method, device):
        return self._log10("dy0_error")

    def track_log10_loss_error(self, file, problem, method, device):
        return self._log10("loss_error")

    def _log10(self, name):
        return log10_error(getattr(self.row, name))


class AcceptedSteps:
    """log10 of the error against finite differences of the very steps that were accepted.

    A discrete adjoint is the exact derivative of its steps, so this is rounding, of the finite
    differences above all; a continuous adjoint differs by its own truncation error.
    """

    params = (
        CHOSEN.timed_problems if CHOSEN.quick else CHOSEN.problems,
        ("jax-discrete", "jax-backsolve"),
    )
    param_names = ("problem", "method")
    unit = "log10(relative error)"
    timeout = 300
    version = VERSION

    def setup(self, problem, method):
        check_known(problem, method)

    def track_log10_frozen_error(self, problem, method):
        from adjointbench.suite.measuring.frozen_steps import frozen_step_error
        from adjointbench.suite.measuring.names import get_problem

        try:
            return log10_error(frozen_step_error(get_problem(problem), method))
        except ValueError:
            return math.nan  # the method refuses the problem: skipped
