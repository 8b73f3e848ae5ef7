"""What is kept from the forward pass for the reverse pass."""

from adjointbench.suite.measuring.studies import checkpoints

from ._ladder import CHOSEN, VERSION, _Ladder


class Kept(_Ladder):
    """Exact bytes, at the tolerance nearest to 1e-6."""

    unit = "bytes"

    def track_saved_bytes(self, file, problem, method, device):
        return self.figure("saved_bytes")


class Peak:
    """The peak of the whole process, imports included: a ceiling, not the adjoint's memory."""

    params = (CHOSEN.timed_problems, ("jax-discrete", "scipy-adjoint"))
    param_names = ("problem", "method")
    timeout = 300
    version = VERSION

    def peakmem_gradient(self, problem, method):
        from adjointbench import gradient
        from adjointbench.suite.measuring.names import get_problem

        try:
            gradient(get_problem(problem), method)
        except ValueError as refusal:
            raise NotImplementedError(str(refusal)) from refusal


class Checkpoints(_Ladder):
    """What is kept by the number of checkpoints; what that costs in time is in the rows."""

    params = (
        checkpoints.QUICK_METHODS if CHOSEN.quick else checkpoints.METHODS,
        checkpoints.QUICK_NUMBERS if CHOSEN.quick else checkpoints.NUMBERS,
    )
    param_names = ("method", "checkpoints")
    unit = "bytes"

    def setup(self, file, method, number):
        self.row = checkpoints.pick(file.rows, method, number)
        if self.row is None:
            raise NotImplementedError("not measured")
        if self.row.status == "skipped":
            raise NotImplementedError(self.row.message)

    def track_saved_bytes(self, file, method, number):
        return self.figure("saved_bytes")
