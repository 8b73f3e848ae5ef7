"""What is kept from the forward pass for the reverse pass."""

from ._checkout import CHOSEN, TASKS, VERSION, check_known, of_checkout
from ._ladder import SPARE_S, _Ladder, not_refused, selected
from ._rows import rows_of

_STUDY = of_checkout("suite.measuring.studies.checkpoints")


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

    def setup(self, problem, method):
        check_known(problem, method)

    def peakmem_gradient(self, problem, method):
        from adjointbench import gradient
        from adjointbench.suite.measuring.names import get_problem

        gradient(get_problem(problem), method)


class Checkpoints(_Ladder):
    """What is kept by the number of checkpoints; what that costs in time is in the rows."""

    params = (
        _STUDY.QUICK_METHODS if CHOSEN.quick else _STUDY.METHODS,
        _STUDY.QUICK_NUMBERS if CHOSEN.quick else _STUDY.NUMBERS,
    )
    param_names = ("method", "checkpoints")
    unit = "bytes"
    timeout = TASKS.checkpoint_job("", CHOSEN.quick).timeout_s + SPARE_S

    def setup(self, file, method, number):
        name = _STUDY.method_of(method, number)
        selected(name in CHOSEN.checkpointed, "ADJOINTBENCH_CHECKPOINTS")
        check_known(_STUDY.PROBLEM, method)
        (self.row,) = not_refused(rows_of(file, TASKS.checkpoint_job(name, CHOSEN.quick)))

    def track_saved_bytes(self, file, method, number):
        return self.figure("saved_bytes")
