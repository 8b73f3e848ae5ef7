"""Claims about what a solver written as a primitive costs: in lanes, and in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..measuring.errors import relative_error
from ..measuring.timing import Silence, in_turn, timed
from .claim import DOES_NOT_HOLD, HOLDS, IN_PART, Claim, Figures, Limit, Limits, Plot, Verdict
from .judges import all_of
from .median_and_range import quartiles
from .zoo_gradients import problem_of


def lanes(quick: bool, silence: Silence) -> Figures:
    """Gradients of many lanes under ``vmap``, of the open primitive and of a black box."""
    import jax

    lines: list[dict[str, Any]] = []
    figures: dict[str, Any] = {}
    ladder = (1, 8) if quick else (1, 4, 16, 64)
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        for way, loss in (("open", _open_loss()), ("blackbox", _blackbox_loss())):
            gradient = jax.jit(jax.vmap(jax.grad(loss)))
            params = {count: _lanes_of(count) for count in ladder}
            alone = np.stack([np.asarray(gradient(p[None])[0]) for p in params[ladder[-1]][:2]])
            together = np.asarray(gradient(params[ladder[-1]]))[:2]
            calls = [
                timed(gradient, [(p * (1 + 1e-9 * k),) for k in range(2)], jax.block_until_ready)
                for p in params.values()
            ]
            with silence():
                seconds = in_turn(calls, 0.3)
            for count, mine in zip(ladder, seconds, strict=True):
                a_lane = float(np.median(mine)) / count
                lines.append({"way": way, "lanes": count, "seconds_a_lane": a_lane})
            figures |= quartiles(f"{way}_lane", seconds[-1] / seconds[0] / ladder[-1])
            figures[f"{way}_error"] = relative_error(together, alone)
    return figures | {"lanes": ladder[-1], "lines": lines}


def _lanes_of(count: int) -> Any:
    import jax.numpy as jnp

    base = jnp.asarray(problem_of("lotka_volterra").params["p"])
    return base * (1 + 0.02 * jnp.linspace(-1, 1, count))[:, None]


def _open_loss(**settings: Any) -> Callable[[Any], Any]:
    import jax.numpy as jnp

    from ...adjoints.jax import solve

    problem = problem_of("lotka_volterra")
    y0, save_at = jnp.asarray(problem.y0), jnp.asarray(problem.save_at)

    def loss(p: Any) -> Any:
        ys = solve(problem.rhs, y0, save_at, {"p": p}, rtol=1e-4, atol=1e-7, **settings).ys
        return problem.loss(ys, {"p": p})

    return loss


def _blackbox_loss() -> Callable[[Any], Any]:
    import jax.numpy as jnp

    from ...adjoints.jax.blackbox import blackbox_solve

    problem = problem_of("lotka_volterra")
    y0 = jnp.asarray(problem.y0)

    def loss(p: Any) -> Any:
        found = blackbox_solve(problem.rhs, y0, problem.save_at, {"p": p}, rtol=1e-4, atol=1e-7)
        return problem.loss(found.ys, {"p": p})

    return loss


def memory_by_most_steps(quick: bool, silence: Silence) -> Figures:
    """Bytes that a compiled gradient reserves, by the number of steps that it must allow for."""
    import jax

    ladder = (256, 16384) if quick else (256, 1024, 4096, 16384, 65536)
    ways: dict[str, Callable[[int], Callable[[Any], Any]]] = {
        "open, by default": lambda most: _open_loss(max_steps=most),
        "diffrax, by default": lambda most: _diffrax_loss(max_steps=most),
    }
    if not quick:
        ways["open, 16 checkpoints"] = lambda most: _open_loss(max_steps=most, checkpoints=16)
        ways["diffrax, 16 checkpoints"] = lambda most: _diffrax_loss(most, checkpoints=16)
    lines = []
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        params = problem_of("lotka_volterra").params["p"]
        for way, most in itertools.product(ways, ladder):
            compiled = jax.jit(jax.grad(ways[way](most))).lower(params).compile()
            found: Any = compiled.memory_analysis()
            lines.append({"way": way, "max_steps": most, "bytes": found.temp_size_in_bytes})
    growth = {
        way: lines[(k + 1) * len(ladder) - 1]["bytes"] / lines[k * len(ladder)]["bytes"]
        for k, way in enumerate(ways)
    }
    return {
        "growth": growth["open, by default"],
        "growth_generated": growth["diffrax, by default"],
        "more_steps": ladder[-1] // ladder[0],
        "lines": lines,
    }


def _diffrax_loss(max_steps: int, checkpoints: int | None = None) -> Callable[[Any], Any]:
    import diffrax
    import jax.numpy as jnp

    problem = problem_of("lotka_volterra")
    y0, saves = jnp.asarray(problem.y0), diffrax.SaveAt(ts=jnp.asarray(problem.save_at))
    term = diffrax.ODETerm(lambda t, y, p: problem.rhs(t, y, {"p": p}))

    def loss(p: Any) -> Any:
        ys = diffrax.diffeqsolve(
            term,
            diffrax.Tsit5(),
            *problem.t_span,
            None,
            y0,
            p,
            saveat=saves,
            stepsize_controller=diffrax.PIDController(rtol=1e-4, atol=1e-7),
            adjoint=diffrax.RecursiveCheckpointAdjoint(checkpoints=checkpoints),
            max_steps=max_steps,
        ).ys
        return problem.loss(ys, {"p": p})

    return loss


def _judge_memory(figures: Figures, limits: Limits) -> Verdict:
    bounded = limits["bounded"].value
    word = HOLDS if figures["growth"] <= bounded else DOES_NOT_HOLD
    if word != HOLDS and figures["growth"] <= limits["less"].value * figures["growth_generated"]:
        word = IN_PART
    return Verdict(
        word,
        f"With {figures['more_steps']} times as many steps allowed the bytes reserved grow "
        f"{figures['growth']:.3g} times for the two loops by hand and "
        f"{figures['growth_generated']:.3g} times for the generated pass of diffrax.",
    )


PRIMITIVE_COSTS = (
    Claim(
        key="9",
        sentence="Such a primitive does not play well with vmap.",
        source="said of solvers as custom primitives and callbacks",
        measured="gradients of Lotka-Volterra in lanes under vmap, by the open solver and by a "
        "black box behind pure_callback: right beside lane by lane, and time a lane over that of "
        "one alone",
        measure=lanes,
        leading="open_lane",
        unit="of the time of one alone, a lane of the open solver",
        limits={
            "right": Limit(1e-6, "a relative difference up to which lanes are right"),
            "gain": Limit(0.5, "of the time alone, from which vmap gains little"),
        },
        decide=all_of(
            "In {lanes} lanes the open solver takes {open_lane:.2f} of its time alone a lane and "
            "is {open_error:.1e} off, the black box {blackbox_lane:.2f} and {blackbox_error:.1e}.",
            the_open_solver_fails_or_gains_little=lambda f, t: (
                f["open_error"] > t["right"].value or f["open_lane"] >= t["gain"].value
            ),
            the_black_box_fails_or_gains_little=lambda f, t: (
                f["blackbox_error"] > t["right"].value or f["blackbox_lane"] >= t["gain"].value
            ),
        ),
    ),
    Claim(
        key="22",
        sentence="A pair of hand-written while-loops avoids the static memory bound of a generated "
        "reverse pass.",
        source="said of custom derivatives around loops; XLA's fixed shapes say otherwise",
        measured="bytes that the compiled gradient of Lotka-Volterra reserves "
        "(memory_analysis) by max_steps, of the open solver and of diffrax's "
        "RecursiveCheckpointAdjoint",
        measure=memory_by_most_steps,
        leading="growth",
        unit="times the bytes, of two loops by hand",
        limits={
            "bounded": Limit(1.1, "growth up to which memory does not depend on max_steps"),
            "less": Limit(0.5, "of the growth of the generated pass, up to which it helps"),
        },
        decide=_judge_memory,
        plot=Plot("max_steps", "bytes", "way", "steps allowed", "bytes reserved"),
    ),
)
