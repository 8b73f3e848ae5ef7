"""Evaluations and steps at the tolerance nearest to 1e-6: they do not depend on the machine."""

from ._ladder import _Ladder


class Counts(_Ladder):
    """Forward and reverse apart; skipped where a method does not tell."""

    unit = "count"

    def track_steps(self, file, problem, method, device):
        return self.figure("steps")

    def track_rejected_steps(self, file, problem, method, device):
        return self.figure("rejected")

    def track_rhs_evaluations(self, file, problem, method, device):
        return self.figure("rhs_evals")

    def track_reverse_steps(self, file, problem, method, device):
        return self.figure("reverse_steps")

    def track_reverse_rhs_evaluations(self, file, problem, method, device):
        return self.figure("reverse_rhs_evals")

    def track_vector_jacobian_products(self, file, problem, method, device):
        return self.figure("vjp_evals")

    def track_jacobian_evaluations(self, file, problem, method, device):
        return self.figure("jacobian_evals")
