"""How the time of a gradient grows with the size of a stiff problem."""

import itertools
import math

from ._checkout import CHOSEN, TASKS, check_known, of_checkout
from ._ladder import SPARE_S, _Measured, not_refused, selected
from ._rows import rows_of

_STUDY = of_checkout("suite.measuring.studies.scaling")
_METHODS = _STUDY.METHODS
_SIZES = _STUDY.QUICK_SIZES if CHOSEN.quick else _STUDY.SIZES
_TIMEOUT_S = TASKS.scaling_job(_SIZES[0], _METHODS[0], CHOSEN.quick).timeout_s


def _rows(file, method, n):
    """The row of a method at a size; not implemented where that was not asked for."""
    selected(n in CHOSEN.sizes, "ADJOINTBENCH_SCALING")
    selected(method in CHOSEN.scaling_methods, "ADJOINTBENCH_METHODS")
    selected(_STUDY.takes(method, n, quick=CHOSEN.quick), "ADJOINTBENCH_FULL")
    check_known("brusselator", method)
    return rows_of(file, TASKS.scaling_job(n, method, CHOSEN.quick))


def study(file, methods=_METHODS):
    """Rows of some methods at all the sizes that were asked for."""
    wanted = [method for method in methods if method in CHOSEN.scaling_methods]
    selected(wanted, "ADJOINTBENCH_METHODS")
    selected(CHOSEN.sizes, "ADJOINTBENCH_SCALING")
    pairs = itertools.product(wanted, CHOSEN.sizes)
    taken = [pair for pair in pairs if _STUDY.takes(*pair, quick=CHOSEN.quick)]
    return [row for method, n in taken for row in _rows(file, method, n)]


def _times(file, methods):
    from adjointbench.suite.measuring.studies import scaling

    return scaling.times(study(file, methods))


class Brusselator(_Measured):
    """Seconds of one gradient with n × n points: 6 n² states and parameters."""

    params = (_METHODS, _SIZES)
    param_names = ("method", "n")
    timeout = _TIMEOUT_S + SPARE_S

    def setup(self, file, method, n):
        (self.row,) = not_refused(_rows(file, method, n))

    def track_gradient_seconds(self, file, method, n):
        """NaN where it broke down or its time was over: the rows have the status."""
        return math.nan if self.row.seconds is None else self.row.seconds

    track_gradient_seconds.unit = "seconds"


class Exponent(_Measured):
    """The power of states and parameters together with which the time grows."""

    params = (_METHODS,)
    param_names = ("method",)
    timeout = len(_SIZES) * (_TIMEOUT_S + SPARE_S)

    def setup(self, file, method):
        self.times = _times(file, [method])

    def track_exponent(self, file, method):
        from adjointbench.suite.measuring.studies import scaling

        slope = scaling.exponent(self.times.get(method, {}))
        return math.nan if slope is None else slope

    track_exponent.unit = "slope of log time against log size"


class Crossover(_Measured):
    """Where forward mode becomes slower than the best adjoint of the same solver.

    Where that lies outside of the sizes that were measured, it is the nearest of them.
    """

    unit = "states and parameters"
    timeout = len(_METHODS) * len(_SIZES) * (_TIMEOUT_S + SPARE_S)

    def setup(self, file):
        self.times = _times(file, (_STUDY.FORWARD, *_STUDY.ADJOINTS))

    def track_crossover(self, file):
        return _crossover(self.times, _STUDY.ADJOINTS)

    def track_crossover_with_continuous_adjoints(self, file):
        return _crossover(self.times, _STUDY.CONTINUOUS)


class SystemsCrossover(_Measured):
    """Where full matrices become slower than sparse ones; outside of the sizes, the nearest."""

    unit = "states and parameters"
    timeout = 2 * len(_SIZES) * (_TIMEOUT_S + SPARE_S)

    def setup(self, file):
        self.times = _times(file, (_STUDY.DENSE, _STUDY.SPARSE))

    def track_crossover(self, file):
        from adjointbench.suite.measuring.studies import scaling

        return _place(scaling.systems_crossover(self.times))


def _crossover(times, adjoints):
    from adjointbench.suite.measuring.studies import scaling

    return _place(scaling.own_crossover(times, adjoints))


def _place(found):
    if found is None:
        return math.nan
    if found.at is None:
        return found.low if math.isinf(found.high) else found.high
    return found.at
