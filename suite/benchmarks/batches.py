"""The gradient of many lanes at once: what a lane costs, and that no untaken step is paid for."""

import itertools
import math
import statistics
import time

from adjointbench.suite.measuring.studies import lanes as study

from ._ladder import CHOSEN, VERSION, _Ladder

LANES = 64
SLOTS = (256, 4096, 16384)


class Lanes:
    """64 lanes of Lotka–Volterra under ``vmap``: the time must not depend on ``max_steps``."""

    timeout = 300
    version = "1"

    def setup_cache(self):
        """Seconds of the gradient of all lanes: a line a round, a column for each of SLOTS."""
        calls = [lanes_gradient(slots) for slots in SLOTS]
        return [[call() for call in calls] for _ in range(21)]

    setup_cache.timeout = 900

    def track_seconds(self, times, slots):
        return statistics.median(line[SLOTS.index(slots)] for line in times)

    track_seconds.params = SLOTS
    track_seconds.param_names = ("max_steps",)
    track_seconds.unit = "seconds"

    def track_slowdown_of_many_slots(self, times):
        """Time with the most slots over time with the fewest: 1 is right, 1.2 too much."""
        return statistics.median(line[-1] / line[0] for line in times)

    track_slowdown_of_many_slots.unit = "ratio"


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


class Ensemble(_Ladder):
    """Seconds a lane of the gradient of the summed loss, from the rows of the study."""

    params = (study.METHODS, study.QUICK_NUMBERS if CHOSEN.quick else study.NUMBERS)
    param_names = ("method", "lanes")
    version = VERSION

    def setup(self, file, method, lanes):
        self.row = study.pick(file.rows, method, lanes)
        if self.row is None:
            raise NotImplementedError("not measured")
        if self.row.status == "skipped":
            raise NotImplementedError(self.row.message)

    def track_seconds_a_lane(self, file, method, lanes):
        """NaN where it broke down or its time was over: the rows have the status."""
        found = study.seconds_a_lane(self.row)
        return math.nan if found is None else found

    track_seconds_a_lane.unit = "seconds"
