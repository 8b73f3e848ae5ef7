"""The gradient of many lanes at once: what a lane costs, and that no untaken step is paid for."""

import itertools
import math
import statistics
import time

from ._checkout import CHOSEN, TASKS, check_known, of_checkout
from ._ladder import SPARE_S, _Measured, not_refused, selected
from ._rows import once, rows_of

_STUDY = of_checkout("suite.measuring.studies.lanes")

#: Lanes of :class:`CompiledLanes`, what it solves, and by which solver: one explicit, two stiff.
LANES_OF = (16, 256, 4096)
_COMPILED = {"lotka_volterra": "tsit5", "van_der_pol": "rodas5p", "robertson": "rodas5p"}

LANES = 64
SLOTS = (256, 4096, 16384)
ROUNDS = 21


class Lanes(_Measured):
    """64 lanes of Lotka–Volterra under ``vmap``: the time must not depend on ``max_steps``."""

    timeout = 300
    version = "1"

    def setup(self, file, *slots):
        self.rounds = once("lanes by slots", _by_slots)

    def track_seconds(self, file, slots):
        return statistics.median(line[SLOTS.index(slots)] for line in self.rounds)

    track_seconds.params = SLOTS
    track_seconds.param_names = ("max_steps",)
    track_seconds.unit = "seconds"

    def track_slowdown_of_many_slots(self, file):
        """Time with the most slots over time with the fewest: 1 is right, 1.2 too much."""
        return statistics.median(line[-1] / line[0] for line in self.rounds)

    track_slowdown_of_many_slots.unit = "ratio"


def _by_slots():
    """Seconds of the gradient of all lanes, taken in turn: a line a round, a column for each."""
    calls = [lanes_gradient(number) for number in SLOTS]
    return [[call() for call in calls] for _ in range(ROUNDS)]


def lanes_gradient(max_steps):
    """A timed call of the gradient of all lanes of Lotka-Volterra."""
    return gradient_of_lanes("lotka_volterra", LANES, max_steps=max_steps)


def gradient_of_lanes(name, lanes, **options):
    """A timed call of the compiled gradient of so many lanes, warmed up; one has no ``vmap``."""
    import jax
    import jax.numpy as jnp

    from adjointbench import problems
    from adjointbench.adjoints.jax import solve

    problem = problems.get(name)
    ((parameter, base),) = problem.params.items()
    with jax.enable_x64(True):
        y0, save_at = jnp.asarray(problem.y0), jnp.asarray(problem.save_at)

        def loss(p):
            params = {**problem.constants, parameter: p}
            return problem.loss(solve(problem.rhs, y0, save_at, params, **options).ys, params)

        gradient, given = jax.grad(loss), jnp.asarray(base)
        if lanes > 1:
            factors = 1 + 0.02 * jnp.linspace(-1, 1, lanes)
            gradient, given = jax.vmap(gradient), jnp.multiply.outer(factors, given)
        inputs = itertools.cycle([given * (1 + 1e-9 * k) for k in range(8)])
        compiled = jax.jit(gradient).lower(given).compile()
        jax.block_until_ready(compiled(given))

    def call():
        values = next(inputs)
        start = time.perf_counter()
        jax.block_until_ready(compiled(values))
        return time.perf_counter() - start

    return call


class CompiledLanes(_Measured):
    """Gradients in what JAX compiles, where the native loop cannot be, by the number of lanes."""

    params = (list(_COMPILED)[: 1 if CHOSEN.quick else None], (16,) if CHOSEN.quick else LANES_OF)
    param_names = ("problem", "lanes")
    timeout = 300
    version = "1"

    def setup(self, file, problem, lanes):
        self.rounds = once(f"lanes {problem} {lanes}", lambda: _rounds(problem, lanes))

    def track_seconds_a_lane(self, file, problem, lanes):
        return statistics.median(together for _, together in self.rounds) / lanes

    track_seconds_a_lane.unit = "seconds"

    def track_lane_over_one_alone(self, file, problem, lanes):
        """Time a lane over that of one lane alone, in the same turns: at most 0.5 is right."""
        return statistics.median(together / alone for alone, together in self.rounds) / lanes

    track_lane_over_one_alone.unit = "ratio"


def _rounds(problem, lanes):
    """Seconds of a lane alone and of all together, in turn: compiled and taken for both figures."""
    options = {"engine": "xla", "solver": _COMPILED[problem]}
    alone, together = (gradient_of_lanes(problem, n, **options) for n in (1, lanes))
    # The least of some calls: what else runs gets its turn after a long one.
    return [(min(alone() for _ in range(5)), together()) for _ in range(ROUNDS)]


class NativeLanes:
    """Seconds a lane of Lotka–Volterra's gradient in the native loop, by the number of lanes."""

    params = (16, 256, 4096)
    param_names = ("lanes",)
    timeout = 300
    version = "1"

    def setup(self, lanes):
        from adjointbench import problems
        from adjointbench.adjoints.native.compiled_loop import CompiledLoop
        from adjointbench.adjoints.steps.tableaus import tableau

        problem = problems.get(_STUDY.PROBLEM)
        self.loop = CompiledLoop(problem, tableau("tsit5"), _STUDY.RTOL, _STUDY.RTOL)
        (self.theta,) = _STUDY.lanes_of(problem, lanes).values()
        self.y0 = problem.y0 + 0.0 * self.theta[:, :1]
        self.loop.lanes(self.theta, self.y0)

    def track_seconds_a_lane(self, lanes):
        return statistics.median(self._seconds() for _ in range(ROUNDS)) / lanes

    track_seconds_a_lane.unit = "seconds"

    def _seconds(self):
        start = time.perf_counter()
        self.loop.lanes(self.theta, self.y0)
        return time.perf_counter() - start


class Ensemble(_Measured):
    """Seconds a lane of the gradient of the summed loss, from the rows of the study."""

    params = (_STUDY.METHODS, _STUDY.QUICK_NUMBERS if CHOSEN.quick else _STUDY.NUMBERS)
    param_names = ("method", "lanes")
    timeout = TASKS.lanes_task("", CHOSEN.quick).timeout_s + SPARE_S

    def setup(self, file, method, lanes):
        name = _STUDY.method_of(method, lanes)
        selected(name in CHOSEN.lanes, "ADJOINTBENCH_LANES")
        check_known(_STUDY.PROBLEM, method)
        (self.row,) = not_refused(rows_of(file, TASKS.lanes_task(name, CHOSEN.quick)))

    def track_seconds_a_lane(self, file, method, lanes):
        """NaN where it broke down or its time was over: the rows have the status."""
        found = _STUDY.seconds_a_lane(self.row)
        return math.nan if found is None else found

    track_seconds_a_lane.unit = "seconds"
