"""Gradients of losses with a regulariser of the solver's own steps, against frozen steps."""

from ._checkout import CHOSEN, VERSION, check_known
from ._ladder import followed_error


class FrozenSteps:
    """By methods that see into the solver, and by one that does not: what it misses."""

    params = (
        ("lotka_volterra",),
        ("error",) if CHOSEN.quick else ("error", "error_squared", "stiffness"),
        ("jax-discrete", "torch-discrete", "jax-interpolating"),
    )
    param_names = ("problem", "regularizer", "method")
    timeout = 300
    version = VERSION
    unit = "relative error"

    def setup(self, problem, regularizer, method):
        check_known(problem, method)

    def track_frozen_error(self, problem, regularizer, method):
        from adjointbench import problems
        from adjointbench.suite.measuring.frozen_steps import regularized_step_error

        found = problems.get(problem)
        options = {"rtol": 1e-5, "atol": 1e-8}
        return followed_error(
            regularized_step_error(found, method, regularizer, 1.0, **options), 1e-10
        )
