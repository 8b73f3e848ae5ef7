"""How long a gradient takes: warm, against its primal solve, and the first time."""

from adjointbench.suite.measuring.measure import ATOL_SCALE

from ._checkout import CHOSEN, check_known
from ._ladder import _Ladder
from ._warm import Warm as _Warm

RTOL = 1e-6


class Times(_Ladder):
    """Times at the tolerance nearest to 1e-6."""

    def track_gradient_seconds(self, file, problem, method, device):
        return self.figure("seconds")

    track_gradient_seconds.unit = "seconds"

    def track_gradient_over_primal(self, file, problem, method, device):
        return self.figure("ratio")

    track_gradient_over_primal.unit = "ratio"

    def track_first_call_seconds(self, file, problem, method, device):
        return self.figure("first_call_s")

    track_first_call_seconds.unit = "seconds"

    def track_compile_seconds(self, file, problem, method, device):
        return self.figure("compile_s")

    track_compile_seconds.unit = "seconds"


class Gradient(_Warm):
    """asv's own timing of the same warm call, with its own statistics, in its own process."""

    params = (CHOSEN.timed_problems, CHOSEN.timed_methods, CHOSEN.devices)
    param_names = ("problem", "method", "device")

    def prepare(self, problem, method, device):
        return _prepared(problem, method, device)

    def time_gradient(self, problem, method, device):
        self.next_call()


def _prepared(problem, method, device):
    from adjointbench.suite.measuring.measure import prepare_to_measure
    from adjointbench.suite.measuring.names import get_problem, split_name
    from adjointbench.suite.measuring.timing import timed_gradient

    check_known(problem, method)
    name, given = split_name(method)
    options = {"rtol": RTOL, "atol": RTOL * ATOL_SCALE, "device": device, **given}
    try:
        run = prepare_to_measure(get_problem(problem), name, **options)
    except ValueError as refusal:
        raise NotImplementedError(str(refusal)) from refusal
    if run().status != "ok":
        raise NotImplementedError("it breaks down here, as the stability figures say")
    return timed_gradient(run)
