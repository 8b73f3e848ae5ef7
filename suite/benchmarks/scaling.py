"""How the time of a gradient grows with the size of a stiff problem."""

import math

from adjointbench.suite.measuring.studies import scaling

from ._ladder import CHOSEN, VERSION, _Ladder


class _Scaling(_Ladder):
    """Base: the rows of the study alone, and their times."""

    def setup(self, file, *where):
        self.rows = [row for row in file.rows if row.study == scaling.STUDY]
        if not self.rows:
            raise NotImplementedError("not measured")
        self.times = scaling.times(self.rows)


class Brusselator(_Scaling):
    """Seconds of one gradient with n × n points: 6 n² states and parameters."""

    params = (scaling.METHODS, scaling.QUICK_SIZES if CHOSEN.quick else scaling.SIZES)
    param_names = ("method", "n")
    version = VERSION

    def setup(self, file, method, n):
        super().setup(file)
        where = (method, scaling.problem_of(n))
        mine = [row for row in self.rows if (row.method, row.problem) == where]
        if not mine:
            raise NotImplementedError("not measured")
        if mine[0].status == "skipped":
            raise NotImplementedError(mine[0].message)

    def track_gradient_seconds(self, file, method, n):
        """NaN where it broke down or its time was over: the rows have the status."""
        return self.times.get(method, {}).get(scaling.unknowns(n), math.nan)

    track_gradient_seconds.unit = "seconds"


class Exponent(_Scaling):
    """The power of states and parameters together with which the time grows."""

    params = (scaling.METHODS,)
    param_names = ("method",)

    def track_exponent(self, file, method):
        slope = scaling.exponent(self.times.get(method, {}))
        return math.nan if slope is None else slope

    track_exponent.unit = "slope of log time against log size"


class Crossover(_Scaling):
    """Where forward mode becomes slower than the best adjoint of the same solver.

    Where that lies outside of the sizes that were measured, it is the nearest of them.
    """

    params = ()
    param_names = ()
    unit = "states and parameters"

    def track_crossover(self, file):
        return self._at(scaling.ADJOINTS)

    def track_crossover_with_continuous_adjoints(self, file):
        return self._at(scaling.CONTINUOUS)

    def _at(self, adjoints):
        found = scaling.own_crossover(self.times, adjoints)
        if found is None:
            return math.nan
        if found.at is None:
            return found.low if math.isinf(found.high) else found.high
        return found.at
