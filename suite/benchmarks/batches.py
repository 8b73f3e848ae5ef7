"""The gradient of many lanes at once: what a lane costs, and that no untaken step is paid for."""

import itertools
import math
import statistics
import time

from ._checkout import CHOSEN, TASKS, check_known, of_checkout
from ._ladder import SPARE_S, _Measured, not_refused, selected
from ._rows import rows_of

_STUDY = of_checkout("suite.measuring.studies.lanes")

LANES = 64
SLOTS = (256, 4096, 16384)
ROUNDS = 21


class Lanes:
    """64 lanes of Lotka–Volterra under ``vmap``: the time must not depend on ``max_steps``."""

    timeout = 300
    version = "1"

    def track_seconds(self, slots):
        return statistics.median(line[0] for line in _seconds(slots))

    track_seconds.params = SLOTS
    track_seconds.param_names = ("max_steps",)
    track_seconds.unit = "seconds"

    def track_slowdown_of_many_slots(self):
        """Time with the most slots over time with the fewest: 1 is right, 1.2 too much."""
        return statistics.median(most / fewest for fewest, most in _seconds(SLOTS[0], SLOTS[-1]))

    track_slowdown_of_many_slots.unit = "ratio"


def _seconds(*slots):
    """Seconds of the gradient of all lanes, taken in turn: a line a round, a column for each."""
    calls = [lanes_gradient(number) for number in slots]
    return [[call() for call in calls] for _ in range(ROUNDS)]


def lanes_gradient(max_steps):
    """A timed call of the compiled gradient of all lanes, warmed up."""
    import jax
    import jax.numpy as jnp

    from adjointbench import problems
    from adjointbench.adjoints.jax import solve

    problem = problems.get("lotka_volterra")
    with jax.enable_x64(True):
        y0, save_at = jnp.asarray(problem.y0), jnp.asarray(problem.save_at)

        def loss(p):
            ys = solve(problem.rhs, y0, save_at, {"p": p}, max_steps=max_steps).ys
            return problem.loss(ys, {"p": p})

        base = jnp.asarray(problem.params["p"])
        lanes = base * (1 + 0.02 * jnp.linspace(-1, 1, LANES))[:, None]
        inputs = itertools.cycle([lanes * (1 + 1e-9 * k) for k in range(8)])
        compiled = jax.jit(jax.vmap(jax.grad(loss))).lower(lanes).compile()
        jax.block_until_ready(compiled(lanes))

    def call():
        values = next(inputs)
        start = time.perf_counter()
        jax.block_until_ready(compiled(values))
        return time.perf_counter() - start

    return call


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
